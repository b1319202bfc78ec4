"""
Keep the insights of what is stored: a target of the outbox, so that none is lost and no store waits for it.

An insight says what its sources say now. Found again in the same project, it gets one more source; where no version of
its sources says it any more, it is forgotten.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from mahavishnu.base.errors import MahavishnuError, Unavailable
from mahavishnu.database.pool import Database
from mahavishnu.memory.insights.extraction import extract_insights, key_of
from mahavishnu.memory.models import Memory, NewMemory, Visibility, utc_now
from mahavishnu.memory.outbox.port import DeliveryRefusal, MemoryChange
from mahavishnu.memory.statements import load_memory_queries
from mahavishnu.memory.store import MemoryStore

NAME = "insights"
FULL_BYTES = 49_152  # of metadata: beyond, an insight names no further source
SPEAKERS = ("user", "assistant")  # what tools and systems say is not a conversation's own
_VERSION = 1  # of what is found: another one reads everything again
_QUERIES = load_memory_queries("insights")


@dataclass(frozen=True)
class _Found:
    """An insight, and the memory that says it."""

    text: str
    memory: Memory

    @property
    def key(self) -> str:
        return key_of(self.text)


class InsightTarget:
    """Finds insights in what changes; its methods are those of `SyncTarget`."""

    name = NAME
    collections: Sequence[str] | None = ("note", "conversation", "execution")

    def __init__(self, database: Database, memories: MemoryStore, marks: Sequence[str]) -> None:
        self._database = database
        self._memories = memories
        self._marks = tuple(marks)

    async def open(self) -> str:
        """Return what tells these marks from others: with new ones everything is read again."""
        told = "\0".join(sorted(self._marks))
        return f"{_VERSION}:{hashlib.sha256(told.encode()).hexdigest()[:16]}"

    async def deliver(self, changes: Sequence[MemoryChange]) -> DeliveryRefusal | None:
        """Keep what the memories say, and let go of what superseded ones said."""
        memories = {each.memory_id: each.memory for each in changes}
        for index, change in enumerate(changes):
            memory = memories.pop(change.memory_id, None)  # once, as it is now
            if memory is None or memory.superseded_by is not None:
                continue
            try:
                await self._keep(memory)
            except Unavailable:
                raise
            except MahavishnuError as error:
                return DeliveryRefusal(index, error.message, error.code)
        replaced = [each.memory for each in changes if each.memory and each.memory.superseded_by]
        if replaced:
            await self._let_go(list({memory.id for memory in replaced}))
        return None

    async def _keep(self, memory: Memory) -> None:
        if memory.expires_at is not None:  # what is to vanish leaves nothing behind
            return
        if (
            memory.collection == "conversation"
            and memory.metadata.get("role", "user") not in SPEAKERS
        ):
            return
        texts = extract_insights(memory.content, self._marks)
        found = {each.key: each for each in (_Found(text, memory) for text in texts)}
        if not found:
            return
        values = list(found), memory.project
        known = await self._fetch("find_known", *values)
        refused = await self._fetch("find_refused", *values)
        for row in known:
            await self._fetch("add_source", row["id"], [source_of(memory)], FULL_BYTES)
        there = {row["source_key"] for row in (*known, *refused)}
        new = [_insight(each) for key, each in found.items() if key not in there]
        stored = await self._memories.store_batch(new, embed=False)
        if new and not await self._fetch("hold_sources", [memory.id]):
            await self._memories.forget([each.id for each in stored if each.created], purge=True)

    async def _let_go(self, replaced: list[UUID]) -> None:
        rows = await self._fetch("drop_sources", [str(each) for each in replaced])
        await self._memories.forget([row["id"] for row in rows if not row["has_sources"]])

    async def _fetch(self, query: str, *values: object) -> list[Any]:
        return await self._database.run(lambda c: c.fetch(_QUERIES[query], *values))


def source_of(memory: Memory) -> Mapping[str, Any]:
    """Return what an insight keeps of a memory that says it: its id, and its place in a session or the run."""
    place: dict[str, Any] = {"id": str(memory.id)}
    if memory.collection == "conversation":
        _, _, position = memory.source_key.rpartition(":")
        place["session_id"] = memory.session_id
        if position.isdecimal():
            place["position"] = int(position)
    elif memory.collection == "execution":
        place |= {
            "workflow_id": memory.workflow_id,
            "execution_id": memory.metadata.get("execution_id"),
        }
    elif memory.session_id is not None:
        place["session_id"] = memory.session_id
    return place


def _insight(found: _Found) -> NewMemory:
    memory = found.memory
    visibility: Visibility = "shared" if memory.visibility == "shared" else "private"
    return NewMemory(
        content=found.text,
        collection="insight",
        source_key=found.key,
        project=memory.project,
        visibility=visibility,
        source_system=memory.source_system,
        agent_id=memory.agent_id,
        workflow_id=memory.workflow_id,
        repo_id=memory.repo_id,
        session_id=memory.session_id,
        occurred_at=memory.occurred_at,
        metadata={
            "doc_type": "insight",
            "extracted_at": utc_now().isoformat(timespec="seconds"),
            "sources": [source_of(memory)],
        },
    )
