"""A vector database for Agno's `Knowledge`: documents are memories, found by our search."""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from agno.knowledge.document import Document
from agno.vectordb.base import VectorDb

from mahavishnu.base.errors import NotFound
from mahavishnu.engines.agno.turns import MAX_TEXT_BYTES, SOURCE
from mahavishnu.engines.background import BackgroundApp
from mahavishnu.memory.checks import clean_text
from mahavishnu.memory.models import Hit, MemoryFilter, NewMemory
from mahavishnu.memory.search import SearchRequest

if TYPE_CHECKING:
    from mahavishnu import App

OWN = "agno"  # the key of what is ours in the metadata of a document


def _in_thread[R](method: Callable[..., R]) -> Callable[..., Awaitable[R]]:
    """Return a method for event loops; it has the parameters of the other one, which Agno looks at."""

    @functools.wraps(method)
    async def run(*words: Any, **named: Any) -> R:
        return await asyncio.to_thread(method, *words, **named)

    return run


class MemoryKnowledge(VectorDb):
    """
    Documents in the collection `document`, by Agno's rules: what is written without a user is everybody's,
    and who searches without one searches everything.

    Texts are embedded here, by the model of the settings; an embedder of Agno's is not asked.
    """

    def __init__(self, background: BackgroundApp, *, name: str, project: str | None) -> None:
        super().__init__(name=name, description="Mahavishnu")
        self._background = background
        self._project = project

    def search(
        self, query: str, limit: int = 5, filters: Any = None, user_id: str | None = None
    ) -> list[Document]:
        """Return the documents that answer `query`, best first: of a user, and of everybody."""
        return self._background.ask(lambda app: self._search(app, query, limit, filters, user_id))

    def insert(
        self, content_hash: str, documents: list[Document], filters: Any = None,
        user_id: str | None = None,
    ) -> None:  # fmt: skip
        """Store the documents of one content; the same again is there once."""
        news = self._memories(content_hash, documents, filters or {}, user_id)
        self._background.ask(lambda app: _store(app, news))

    def upsert(
        self, content_hash: str, documents: list[Document], filters: Any = None,
        user_id: str | None = None,
    ) -> None:  # fmt: skip
        """Store the documents of one content in the place of those that are there."""
        self._forget(self._ids(content_hash=content_hash, user_id=user_id))
        self.insert(content_hash, documents, filters, user_id)

    def upsert_available(self) -> bool:
        return True

    def name_exists(self, name: str) -> bool:
        return bool(self._ids(name=name))

    def id_exists(self, id: str) -> bool:
        """Tell whether there is a document of this id, one that a search gave."""
        try:
            return UUID(id) in self._ids()
        except ValueError:  # an id of somebody else
            return False

    def content_hash_exists(self, content_hash: str, user_id: str | None = None) -> bool:
        """Tell whether a user, or without one everybody, has this content."""
        return bool(self._ids(content_hash=content_hash, user_id=user_id))

    def delete_by_id(self, id: str) -> bool:
        """Forget one document; like the others, returns whether something was there."""
        return self.id_exists(id) and self._forget([UUID(id)])

    def delete_by_name(self, name: str) -> bool:
        return self._forget(self._ids(name=name))

    def delete_by_metadata(self, metadata: dict[str, Any]) -> bool:
        return self._forget(self._ids(metadata))

    def delete_by_content_id(self, content_id: str, user_id: str | None = None) -> bool:
        """Forget the documents of one content: a user's, or without one all."""
        owner: dict[str, Any] = {} if user_id is None else {"user_id": user_id}
        return self._forget(self._ids(content_id=content_id, **owner))

    def delete(self) -> bool:
        """Forget all documents under this name."""
        return self._forget(self._ids())

    def drop(self) -> None:
        self.delete()

    def exists(self) -> bool:
        return True

    def create(self) -> None:
        """There is nothing to be made."""

    def get_supported_search_types(self) -> list[str]:
        return ["hybrid"]

    async_search = _in_thread(search)
    async_insert = _in_thread(insert)
    async_upsert = _in_thread(upsert)
    async_name_exists = _in_thread(name_exists)
    async_drop = _in_thread(drop)
    async_exists = _in_thread(exists)
    async_create = _in_thread(create)

    async def _search(
        self, app: "App", query: str, limit: int, filters: Any, user_id: str | None
    ) -> list[Document]:
        owners: list[dict[str, Any]] = (
            [{}] if user_id is None else [{"user_id": user_id}, {"user_id": None}]
        )
        hits: list[Hit] = []
        for own in owners:
            wanted = self._filter(filters, own)
            request = SearchRequest(
                query=query, wanted=wanted, limit=limit, threshold=self.similarity_threshold
            )
            try:
                hits += (await app.search(request)).hits
            except NotFound:  # nothing was stored in the project yet
                return []
        hits.sort(key=lambda hit: -hit.score)
        return [_document(hit) for hit in hits[:limit]]

    def _memories(
        self, content_hash: str, documents: Sequence[Document], filters: Mapping[str, Any],
        user_id: str | None,
    ) -> list[NewMemory]:  # fmt: skip
        own = {"knowledge": self.name, "content_hash": content_hash, "user_id": user_id}
        return [
            NewMemory(
                content=clean_text(document.content, at_most=MAX_TEXT_BYTES),
                context=document.name or "",
                collection="document",
                source_system=SOURCE,
                source_key=f"{self.name}:{content_hash}:{user_id or ''}:{place}",
                project=self._project,
                metadata={
                    **(document.meta_data or {}),
                    **filters,
                    OWN: {**own, "name": document.name, "content_id": document.content_id},
                },
            )
            for place, document in enumerate(documents)
        ]

    def _ids(self, metadata: dict[str, Any] | None = None, **own: Any) -> list[UUID]:
        wanted = self._filter(metadata, own)
        return self._background.ask(lambda app: _select(app, wanted))

    def _forget(self, ids: list[UUID]) -> bool:
        return bool(ids and self._background.ask(lambda app: app.memories.forget(ids, purge=True)))

    def _filter(self, filters: Any, own: dict[str, Any]) -> MemoryFilter:
        """Return what is ours under this name, narrowed; raises ValueError for filters that are no dict."""
        if filters is not None and not isinstance(filters, dict):
            raise ValueError("Filters must be a dict of metadata; expressions are not understood.")
        return MemoryFilter(
            collections=("document",),
            projects=(self._project,) if self._project else (),
            source_system=SOURCE,
            metadata={**(filters or {}), OWN: {"knowledge": self.name, **own}},
        )


async def _store(app: "App", news: Sequence[NewMemory]) -> None:
    async for _ in app.memories.store_many(news):
        pass


async def _select(app: "App", wanted: MemoryFilter) -> list[UUID]:
    try:
        return await app.memories.select_ids(wanted)
    except NotFound:  # nothing was stored in the project yet
        return []


def _document(hit: Hit) -> Document:
    metadata = dict(hit.memory.metadata)
    own = metadata.pop(OWN)
    return Document(
        id=str(hit.memory.id),
        content=hit.memory.content,
        name=own["name"],
        meta_data=metadata,
        content_id=own["content_id"],
        reranking_score=hit.score,
    )
