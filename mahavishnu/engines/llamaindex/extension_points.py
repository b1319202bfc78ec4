"""What LlamaIndex takes of an open application: vector store, retriever and embedding."""

from typing import Any

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

from mahavishnu.base.logs import get_logger
from mahavishnu.engines.llamaindex.embedding import MahavishnuEmbedding
from mahavishnu.engines.llamaindex.owner_loop import OwnerLoop, on_owner
from mahavishnu.engines.llamaindex.vector_store import (
    Access,
    MahavishnuVectorStore,
    SearchMemories,
)
from mahavishnu.memory.models import NAMES, Collection, Memory, MemoryFilter, Mode
from mahavishnu.memory.search import SearchRequest
from mahavishnu.memory.space import EmbeddingSpace
from mahavishnu.memory.store import MemoryStore

# Of a memory these become metadata of its node, where there is something.
FIELDS = (
    "memory_type", "collection", "project", "source_system", *NAMES, "path", "commit_id",
)  # fmt: skip
_log = get_logger(__name__)


class LlamaIndexParts:
    """
    Makes the parts; they are of use while the application is open.

    Their asynchronous methods can be awaited on any event loop, the plain ones called in any thread but that of
    the application's own loop.
    """

    def __init__(
        self, memories: MemoryStore, space: EmbeddingSpace, search: SearchMemories
    ) -> None:
        """Take the parts of an application that is open on the running event loop."""
        self._space = space
        self._access = Access(OwnerLoop(), memories, search)

    def vector_store(
        self,
        *,
        project: str | None = None,
        collection: Collection = "document",
        name: str | None = None,
        model: str | None = None,
    ) -> MahavishnuVectorStore:
        """Return a vector store; see there for what the options mean."""
        return MahavishnuVectorStore(
            self._access, project=project, collection=collection, name=name, model=model
        )

    def retriever(
        self, *, limit: int = 10, mode: Mode = "hybrid", wanted: MemoryFilter | None = None
    ) -> "MahavishnuRetriever":
        """Return a retriever over all memories, or those that are wanted."""
        return MahavishnuRetriever(self._access, limit=limit, mode=mode, wanted=wanted)

    async def embedding(self) -> MahavishnuEmbedding:
        """Return an embedding by the model in use; raises `Unavailable` where no embedder is."""
        embedder = await self._space.embedder()
        return MahavishnuEmbedding(self._space, self._access.owner, embedder.identity)


class MahavishnuRetriever(BaseRetriever):
    """
    Memories of any kind for a question, by the product's own search.

    A node has the memory's id and text; its metadata are the memory's own with `FIELDS`. Scores are 0 to
    1 within one answer.
    """

    def __init__(
        self, access: Access, *, limit: int, mode: Mode, wanted: MemoryFilter | None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self._owner = access.owner
        self._search = access.search
        self._limit = limit
        self._mode: Mode = mode
        self._wanted = wanted or MemoryFilter()

    async def _find(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        request = SearchRequest(
            query=query_bundle.query_str, mode=self._mode, wanted=self._wanted, limit=self._limit
        )
        result = await self._search(request)
        for part in result.degraded:
            _log.warning("search_degraded", part=part.part, reason=part.reason)
        return [NodeWithScore(node=_node_of(hit.memory), score=hit.score) for hit in result.hits]

    _retrieve, _aretrieve = on_owner(_find)


def _node_of(memory: Memory) -> TextNode:
    metadata = {name: value for name in FIELDS if (value := getattr(memory, name)) is not None}
    metadata |= {"occurred_at": memory.occurred_at.isoformat(), **memory.metadata}
    return TextNode(id_=str(memory.id), text=memory.content, metadata=metadata)
