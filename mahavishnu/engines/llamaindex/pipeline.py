"""The ingestion pipeline of a repository: files to chunks, chunks to the vector store."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID, uuid5

from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.schema import BaseNode, Document, MetadataMode, TransformComponent

from mahavishnu.engines.llamaindex.owner_loop import OwnerLoop
from mahavishnu.engines.llamaindex.splitting import LANGUAGE, SourceSplitter
from mahavishnu.engines.llamaindex.vector_store import (
    Access,
    MahavishnuVectorStore,
    SearchMemories,
)
from mahavishnu.knowledge.file_kinds import collection_of
from mahavishnu.knowledge.repositories import Repository
from mahavishnu.knowledge.repository_ingestion import (
    KIND,
    ChangedFile,
    Splitting,
    StoredChunks,
    StoreFiles,
)
from mahavishnu.memory.models import NewMemory, Stored
from mahavishnu.memory.store import MemoryStore


class LeaveVectorsToStore(TransformComponent):
    """
    Notes with each chunk how many its file has, and gives it an empty vector.

    The store makes the vectors: several for what no model takes whole, later for what no embedder is there
    for. The pipeline hands on only nodes that have one.
    """

    def __call__(self, nodes: Sequence[BaseNode], **_: Any) -> Sequence[BaseNode]:
        """Return the same nodes."""
        totals = Counter(node.ref_doc_id for node in nodes)
        for node in nodes:
            node.metadata["chunks"] = totals[node.ref_doc_id]
            node.embedding = []
        return nodes


class ChunkStore(MahavishnuVectorStore):
    """The vector store of one repository's chunks, with columns of their own for path and commit."""

    repo_id: str
    _stored: dict[str, Stored] = PrivateAttr(default_factory=dict)

    def take_stored(self, node: BaseNode) -> Stored:
        """Return what became of a node, once."""
        return self._stored.pop(node.node_id)

    def _memory_of(self, node: BaseNode) -> NewMemory:
        metadata = dict(node.metadata)
        path = metadata["file_path"]
        about = [metadata.get("heading"), *metadata.get("symbols", ())]
        return NewMemory(
            content=node.get_content(metadata_mode=MetadataMode.NONE),
            context=" > ".join(filter(None, (path, *about))),
            collection=collection_of(metadata[LANGUAGE]),
            source_system=KIND,
            source_key=node.node_id,
            project=self.project,
            repo_id=self.repo_id,
            path=path,
            commit_id=metadata.pop("commit", None),
            id=UUID(node.node_id),
            metadata=metadata | {"doc_id": node.ref_doc_id, "node_id": node.node_id},
        )

    async def _store(self, news: Sequence[NewMemory]) -> Sequence[Stored]:
        stored = await self.client.store_batch(news)
        self._stored |= {new.source_key: each for new, each in zip(news, stored, strict=True)}
        return stored


def make_store_files(
    memories: MemoryStore, search: SearchMemories, repository: Repository, splitting: Splitting
) -> StoreFiles:
    """Return what splits and stores files of a repository, on the running event loop."""

    def identify(i: int, doc: BaseNode) -> str:
        seed = f"{repository.repo_id}\0{doc.id_}\0{doc.metadata['fingerprint']}\0{i}"
        return str(uuid5(repository.project_id, seed))

    store = ChunkStore(
        Access(OwnerLoop(), memories, search), project=repository.name, repo_id=repository.repo_id
    )
    splitter = SourceSplitter(
        chunk_tokens=splitting.chunk_tokens, overlap_tokens=splitting.overlap_tokens,
        id_func=identify, include_prev_next_rel=False,
    )  # fmt: skip
    # Which files changed is known before; a docstore would only keep their texts once more.
    pipeline = IngestionPipeline(
        name=repository.name,
        transformations=[splitter, LeaveVectorsToStore()],
        vector_store=store,
        disable_cache=True,
    )

    async def store_files(files: Sequence[ChangedFile]) -> Mapping[str, StoredChunks]:
        nodes = await pipeline.arun(documents=[_document(file) for file in files])
        found: dict[str, StoredChunks] = {}
        for node in nodes:
            chunks = found.setdefault(node.metadata["file_path"], StoredChunks())
            outcome = store.take_stored(node)
            chunks.ids.append(outcome.id)
            chunks.created += outcome.created
            chunks.waiting += not outcome.embedded
        return found

    return store_files


def _document(file: ChangedFile) -> Document:
    metadata = {
        "file_path": file.source.path,
        LANGUAGE: file.source.language,
        "fingerprint": file.fingerprint,
    }
    if file.commit is not None:
        metadata["commit"] = file.commit
    return Document(id_=file.source.path, text=file.source.text, metadata=metadata)
