"""LlamaIndex's vector store over the memories: what it adds is searched with everything else."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import batched
from typing import Any

from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.schema import (
    BaseNode,
    MetadataMode,
    NodeRelationship,
    RelatedNodeInfo,
    TextNode,
)
from llama_index.core.vector_stores.types import (
    BasePydanticVectorStore,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
    VectorStoreQueryResult,
)

from mahavishnu.base.errors import UsageError
from mahavishnu.base.logs import get_logger
from mahavishnu.engines.llamaindex.filters import condition_of
from mahavishnu.engines.llamaindex.owner_loop import OwnerLoop, on_owner
from mahavishnu.memory.models import (
    BroughtVector,
    Collection,
    Hit,
    Memory,
    MemoryFilter,
    Mode,
    NewMemory,
    SearchResult,
    Stored,
)
from mahavishnu.memory.search import SearchRequest
from mahavishnu.memory.store import BATCH_SIZE, MemoryStore

SYSTEM = "llamaindex"
_NODE = "_node"  # of the metadata: what else comes back with a node
_MODES: dict[VectorStoreQueryMode, Mode] = {
    VectorStoreQueryMode.DEFAULT: "vector",
    VectorStoreQueryMode.TEXT_SEARCH: "text",
    VectorStoreQueryMode.SPARSE: "text",
    VectorStoreQueryMode.HYBRID: "hybrid",
}
_log = get_logger(__name__)

type SearchMemories = Callable[[SearchRequest], Awaitable[SearchResult]]


@dataclass(frozen=True)
class Access:
    """What the extension points reach an open application by."""

    owner: OwnerLoop
    memories: MemoryStore
    search: SearchMemories


class MahavishnuVectorStore(BasePydanticVectorStore):
    """
    Nodes as one's own memories in `project` and `collection`, known by their ids.

    `name` tells stores of one project apart: the source system is `llamaindex`, or `llamaindex-NAME`.
    No other memory is read or deleted through it. A node that is added again replaces the former one.

    `model` names the model of the vectors that nodes and questions bring; it has to be the one in use,
    as that of `MahavishnuEmbedding` is. Without it vectors are made here, and those brought are not used.
    """

    stores_text: bool = True
    is_embedding_query: bool = False
    project: str | None = None
    collection: Collection = "document"
    name: str | None = None
    model: str | None = None
    _access: Access = PrivateAttr()
    _owner: OwnerLoop = PrivateAttr()

    def __init__(self, access: Access, **fields: Any) -> None:
        super().__init__(**fields)
        self._access = access
        self._owner = access.owner
        self.is_embedding_query = self.model is not None

    @classmethod
    def class_name(cls) -> str:
        return "MahavishnuVectorStore"

    @property
    def client(self) -> MemoryStore:
        return self._access.memories

    @property
    def system(self) -> str:
        return f"{SYSTEM}-{self.name}" if self.name else SYSTEM

    def _memory_of(self, node: BaseNode) -> NewMemory:
        """Return what keeps a node; what it shows to be embedded is searched with its text."""
        kept = node.model_dump(
            mode="json", exclude_defaults=True,
            include={"excluded_embed_metadata_keys", "excluded_llm_metadata_keys",
                     "start_char_idx", "end_char_idx", "mimetype"},
        )  # fmt: skip
        kept["related"] = {
            relation.value: other.node_id
            for relation, other in node.relationships.items()
            if isinstance(other, RelatedNodeInfo)
        }
        brings = self.model is not None and node.embedding
        return NewMemory(
            content=node.get_content(metadata_mode=MetadataMode.NONE),
            context=node.get_metadata_str(mode=MetadataMode.EMBED),
            collection=self.collection,
            source_system=self.system,
            source_key=f"{self.system}:{node.node_id}",
            project=self.project,
            metadata={
                **node.metadata, "node_id": node.node_id, "doc_id": node.ref_doc_id, _NODE: kept,
            },
            vector=_brought(node.embedding, self.model) if brings else None,
        )  # fmt: skip

    async def _add(self, /, nodes: Sequence[BaseNode], **_: Any) -> list[str]:
        """Store nodes, some hundreds in a transaction; return their ids."""
        last = {node.node_id: node for node in nodes}
        for batch in batched(last.values(), BATCH_SIZE, strict=False):
            await self._store([self._memory_of(node) for node in batch])
        return [node.node_id for node in nodes]

    async def _store(self, news: Sequence[NewMemory]) -> Sequence[Stored]:
        memories = self._access.memories
        stored = await memories.store_batch(news, superseding=True)
        others = [new for new, each in zip(news, stored, strict=True) if each.not_kept]
        if others:  # the same text with other metadata: the node of now is meant
            former = [each.id for each in stored if each.not_kept]
            await memories.forget(former, purge=True)
            await memories.store_batch(others, superseding=True)
        return stored

    def _wanted(self, condition: str | None) -> MemoryFilter:
        return MemoryFilter(
            projects=(self.project,) if self.project else (),
            collections=(self.collection,),
            source_system=self.system,
            condition=condition,
        )

    async def _delete_document(self, /, ref_doc_id: str, **_: Any) -> None:
        """Delete the nodes of a document for good."""
        await self._forget(condition_of(None, doc_ids=[ref_doc_id]))

    async def _delete_nodes(
        self, /, node_ids: list[str] | None = None, filters: MetadataFilters | None = None, **_: Any
    ) -> None:
        """Delete the nodes that pass both for good; raises `UsageError` where neither ids nor filters are given."""
        condition = condition_of(filters, node_ids=node_ids)
        if condition is None:
            raise UsageError(
                "Neither ids nor filters say which nodes are meant.",
                hint="All of them are deleted by clear().",
                code="engine.nothing_named",
            )
        await self._forget(condition)

    async def _clear(self) -> None:
        """Delete all nodes of this store for good."""
        await self._forget(None)

    async def _forget(self, condition: str | None) -> None:
        memories = self._access.memories
        await memories.forget(await memories.select_ids(self._wanted(condition)), purge=True)

    async def _get_nodes(
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None
    ) -> list[BaseNode]:
        """Return the nodes that have one of the ids and pass the filters, without vectors, oldest first."""
        memories = self._access.memories
        wanted = self._wanted(condition_of(filters, node_ids=node_ids))
        return [
            _node_of(memory)
            for memory in await memories.get_many(await memories.select_ids(wanted))
        ]

    async def _query(self, /, query: VectorStoreQuery, **_: Any) -> VectorStoreQueryResult:
        """
        Return the best nodes for a question.

        DEFAULT compares vectors and gives cosines, TEXT_SEARCH and SPARSE match words and give BM25,
        HYBRID fuses both and gives 0 to 1. Raises `UsageError` for other modes.
        """
        mode = _MODES.get(VectorStoreQueryMode(query.mode))
        if mode is None:
            raise UsageError(
                f"This store has no mode {VectorStoreQueryMode(query.mode).value}.",
                hint=f"It has: {', '.join(each.value for each in _MODES)}.",
                code="engine.mode",
            )
        given = {"text": query.sparse_top_k, "hybrid": query.hybrid_top_k}.get(mode)
        brings = self.model is not None and mode != "text" and query.query_embedding
        condition = condition_of(
            query.filters, node_ids=query.node_ids or None, doc_ids=query.doc_ids or None
        )
        result = await self._access.search(
            SearchRequest(
                query=query.query_str or ("-" if brings else ""),
                mode=mode,
                wanted=self._wanted(condition),
                limit=given or query.similarity_top_k,
                vector=_brought(query.query_embedding, self.model) if brings else None,
            )
        )
        for part in result.degraded:
            _log.warning("search_degraded", part=part.part, reason=part.reason)
        nodes = [_node_of(hit.memory) for hit in result.hits]
        return VectorStoreQueryResult(
            nodes=nodes,
            similarities=[_score(hit, mode) for hit in result.hits],
            ids=[node.node_id for node in nodes],
        )

    add, async_add = on_owner(_add)
    delete, adelete = on_owner(_delete_document)
    delete_nodes, adelete_nodes = on_owner(_delete_nodes)
    clear, aclear = on_owner(_clear)
    get_nodes, aget_nodes = on_owner(_get_nodes)
    query, aquery = on_owner(_query)


def _node_of(memory: Memory) -> BaseNode:
    """Return the node that a memory keeps, as it reads now."""
    metadata = dict(memory.metadata)
    kept = metadata.pop(_NODE, {})
    node_id = metadata.pop("node_id")
    metadata.pop("doc_id", None)
    related = kept.pop("related", {})
    return TextNode(
        id_=node_id,
        text=memory.content,
        metadata=metadata,
        relationships={NodeRelationship(k): RelatedNodeInfo(node_id=v) for k, v in related.items()},
        **kept,
    )


def _brought(vector: Sequence[float] | None, model: str | None) -> BroughtVector:
    return BroughtVector(model=model or "", values=vector or (), dimensions=len(vector or ()))


def _score(hit: Hit, mode: Mode) -> float:
    return hit.score if mode == "hybrid" else hit.arms[mode].score
