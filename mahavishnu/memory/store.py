"""Store, correct, forget and read back memories."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import batched
from typing import Any
from uuid import UUID

from mahavishnu.base.errors import Conflict, UsageError
from mahavishnu.base.identifiers import new_id
from mahavishnu.base.logs import get_logger
from mahavishnu.base.telemetry.spans import SpanOrigins, is_collecting, span
from mahavishnu.database.pool import Connection, Database
from mahavishnu.database.vectors import VectorTable
from mahavishnu.embedding.documents import EmbeddedChunk
from mahavishnu.memory.checks import check_limit, check_offset, no_memory
from mahavishnu.memory.duplicates import (
    Placed,
    find_stored,
    id_taken,
    identity,
    places_that_stand,
    refuse_taken_ids,
    repeat_of,
)
from mahavishnu.memory.forgetting import Forgetting, ForgettingRules
from mahavishnu.memory.insertion import build_batch, give_vectors, insert_batch
from mahavishnu.memory.models import (
    Head,
    Memory,
    MemoryFilter,
    NewMemory,
    Stored,
    check_new_memory,
    utc_now,
)
from mahavishnu.memory.references import find_reference
from mahavishnu.memory.scoping import Scopes
from mahavishnu.memory.space import EmbeddingSpace
from mahavishnu.memory.statements import load_memory_queries
from mahavishnu.memory.superseding import (
    check_replaceable,
    lock_scopes,
    make_successor,
    put_in_place,
    retire_others,
)

BATCH_SIZE = 512  # memories of one transaction
IDS_IN_SPAN = 16
_QUERIES = load_memory_queries("memories")
_log = get_logger(__name__)


@dataclass(frozen=True)
class _Batch:
    """
    What is stored together: memories with their scopes, for each place the one that stands for it,
    and the chunks of brought vectors by place.
    """

    placed: Sequence[Placed]
    standing: Sequence[int]
    brought: Mapping[int, list[EmbeddedChunk]]
    embed: bool
    superseding: bool
    in_order: bool


class MemoryStore:
    """
    The caller's memories.

    Storing needs no embedder: rows that have no vector wait in a queue, and text search finds them
    meanwhile. `embed_waiting` works the queue off. `forgetting` restores what was forgotten.
    """

    def __init__(
        self,
        database: Database,
        space: EmbeddingSpace,
        scopes: Scopes,
        rules: ForgettingRules = ForgettingRules(),  # noqa: B008 - frozen
        origins: SpanOrigins | None = None,
    ) -> None:
        self._database = database
        self._space = space
        self._scopes = scopes
        self._origins = origins or SpanOrigins()
        self.forgetting = Forgetting(database, space, rules)

    async def store(self, new: NewMemory) -> Stored:
        """Store one memory; the same text in the same place gives the id it already has."""
        [stored] = await self.store_batch([new])
        return stored

    async def store_many(
        self, news: Iterable[NewMemory], *, embed: bool = True
    ) -> AsyncIterator[Stored]:
        """
        Store any number, in order, `BATCH_SIZE` to a transaction; yields as batches are committed.

        `embed=False` leaves all of them to the queue. An invalid memory raises `UsageError` before
        its batch is written; earlier batches stay.
        """
        for batch in batched(news, BATCH_SIZE, strict=False):
            for stored in await self.store_batch(batch, embed=embed):
                yield stored

    async def store_batch(
        self,
        news: Sequence[NewMemory],
        *,
        embed: bool = True,
        superseding: bool = False,
        in_order: bool = False,
        now: datetime | None = None,
    ) -> list[Stored]:
        """
        Store up to a batch in one transaction: all of it or nothing.

        With `superseding` a source key names one thing that may change: a live memory with the same
        place and source key but another text is superseded. Of several in one batch the last counts.
        With `in_order` memories are numbered as they come, at the price of a deadlock that is tried again.
        `now` is the time by which memories expire, this machine's by default.

        Raises:
            UsageError: one of them cannot be stored; nothing was.
            Conflict: an id is taken by another memory, or a brought vector does not fit.
        """
        if not news:
            return []
        given = [check_new_memory(new, now=now) for new in news]
        if superseding and not all(new.source_key for new in given):
            raise UsageError(
                "What supersedes needs a source_key.",
                hint="Name by it the one thing that these texts are of.",
                code="memory.no_source_key",
            )
        standing = places_that_stand(given, by_key=superseding)
        # A refusal must leave nothing behind: a project made for it would hide a colleague's.
        if any(new.id is not None for new in given):
            await self._database.run(lambda c: refuse_taken_ids(c, given))
        brought = await self._chunk_brought(given, standing)
        placed = [(new, await self._scopes.place(new)) for new in given]
        batch = _Batch(placed, standing, brought, embed, superseding, in_order)
        with span("store memories", {"mahavishnu.memory.count": len(given)}) as seen:
            stored = await self._write_again_if_taken(batch)
            if is_collecting():
                seen.set({"mahavishnu.memory.ids": [str(each.id) for each in stored[:IDS_IN_SPAN]]})
                self._origins.note(each.id for each in stored if each.created)
        return stored

    async def _write_again_if_taken(self, batch: _Batch) -> list[Stored]:
        try:
            return await self._write(batch)
        except Conflict as error:
            if error.code != "memory.id_taken":
                raise
        await self.forgetting.purge_expired()  # an expired memory may have been in the way
        return await self._write(batch)

    async def _chunk_brought(
        self, given: Sequence[NewMemory], standing: Sequence[int]
    ) -> dict[int, list[EmbeddedChunk]]:
        """Return the chunks of the brought vectors by place; raises `Conflict` where one does not fit."""
        places = [i for i in sorted(set(standing)) if given[i].vector is not None]
        chunks, _ = await self._space.make_chunks([given[i] for i in places], embed=False)
        return dict(zip(places, chunks, strict=True))

    async def _make_chunks(
        self, batch: _Batch, places: Sequence[int]
    ) -> tuple[list[list[EmbeddedChunk]], VectorTable | None]:
        own = [i for i in places if i not in batch.brought]
        made, table = await self._space.make_chunks(
            [batch.placed[i][0] for i in own], embed=batch.embed
        )
        if batch.brought:
            active = await self._space.active()
            table = active and active[0]
        chunks = {**batch.brought} | dict(zip(own, made, strict=True))
        return [chunks[i] for i in places], table

    async def _write(self, batch: _Batch) -> list[Stored]:
        """Store the batch's standing places; raises `Conflict` for one that is neither new nor known."""
        kept, superseding = sorted(set(batch.standing)), batch.superseding
        # Embedding is what costs; where none is due, the insertion itself finds the duplicates.
        known: dict[int, Stored] = {}
        if batch.embed and len(batch.brought) < len(kept):
            known = await self._database.run(lambda c: find_stored(c, batch.placed, kept))
        # All writers in one order: two batches with texts in common would otherwise deadlock.
        fresh = [i for i in kept if i not in known]
        if not batch.in_order:
            fresh.sort(key=lambda i: identity(batch.placed[i]))
        vectors, table = await self._make_chunks(batch, fresh)
        now = utc_now()
        incoming = [
            (replace(new, id=new.id or new_id(), occurred_at=new.occurred_at or now), scope)
            for new, scope in (batch.placed[i] for i in fresh)
        ]
        rows = await _in_thread_if_long(len(fresh), lambda: build_batch(incoming, vectors))
        active = await self._space.active() if superseding else None

        async def write(connection: Connection) -> dict[int, Stored]:
            # One memory alone is one statement, which is whole by itself.
            whole = connection.transaction() if superseding or len(fresh) > 1 else nullcontext()
            async with whole:
                if superseding:
                    await lock_scopes(connection, [scope for _, scope in batch.placed])
                inserted = await insert_batch(connection, rows, table) if fresh else set()
                outcomes = {
                    place: Stored(new.id, created=True, embedded=bool(chunks))
                    for place, (new, _), chunks in zip(fresh, incoming, vectors, strict=True)
                    if new.id in inserted
                }
                missing = [place for place in kept if place not in outcomes]
                outcomes |= await find_stored(connection, batch.placed, missing) if missing else {}
                for place in missing:
                    if place not in outcomes:
                        raise id_taken(batch.placed[place][0].id)
                if superseding:
                    await retire_others(
                        connection, [identity(batch.placed[i]) for i in kept], active and active[0]
                    )
                return outcomes

        outcomes = await self._database.run(write)
        return [
            outcomes[stands]
            if stands == place
            else repeat_of(outcomes[stands], batch.placed[stands][0], batch.placed[place][0])
            for place, stands in enumerate(batch.standing)
        ]

    async def supersede(
        self,
        old_id: UUID,
        content: str,
        *,
        metadata: Mapping[str, Any] | None = None,
        context: str | None = None,
    ) -> Stored:
        """
        Replace a memory's text: a new memory takes its place, the old one is kept but not found.

        Everything else stays as it was, but for `metadata` and `context` where they are given.

        Raises:
            NotFound: there is no such memory.
            Forbidden: it is somebody else's.
            Conflict: it was superseded before, has expired, or already says this.
        """
        old = await self.get(old_id)
        # Before anything is made: a project made for a refusal would hide its owner's from the caller.
        await self._database.run(lambda c: check_replaceable(c, old))
        new = check_new_memory(make_successor(old, content, metadata=metadata, context=context))
        if new.content_hash == NewMemory(content=old.content).content_hash:
            raise Conflict(
                "The memory already says exactly this.",
                hint="Give another text.",
                code="memory.duplicate",
            )
        new = replace(new, id=new_id(), occurred_at=utc_now())
        scope = await self._scopes.place(new)
        vectors, table = await self._space.make_chunks([new], embed=True)
        batch = build_batch([(new, scope)], vectors)
        active = await self._space.active()

        async def swap(connection: Connection) -> UUID | None:
            async with connection.transaction():
                await insert_batch(connection, batch, table)
                return await put_in_place(
                    connection, old_id, identity((new, scope)), active and active[0]
                )

        successor = await self._database.run(swap)
        if successor is None:
            # An expired memory that says the same was in the way.
            await self.forgetting.purge_expired()
            successor = await self._database.run(swap)
        if successor is None:
            raise Conflict(
                "Another writer changed the same memories.",
                hint="Look at the memory again: mahavishnu memory show ID",
                code="memory.superseded",
            )
        self._origins.note([successor])
        return Stored(successor, created=successor == new.id, embedded=table is not None)

    async def forget(
        self, ids: Sequence[UUID], *, dry_run: bool = False, purge: bool = False
    ) -> list[UUID]:
        """Forget one's own memories, with the versions that they replaced, as `Forgetting.forget` does."""
        return await self.forgetting.forget(ids, dry_run=dry_run, purge=purge)

    async def select_ids(self, wanted: MemoryFilter) -> list[UUID]:
        """Return the ids of all live memories that pass the filter, newest first."""
        scopes = list(await self._scopes.visible(wanted))
        values = (scopes, wanted.condition, *wanted.fine_parameters)
        rows = await self._database.run(lambda c: c.fetch(_QUERIES["select_ids"], *values))
        return [row["id"] for row in rows]

    async def get_many(self, ids: Sequence[UUID]) -> list[Memory]:
        """Return memories in the order in which they were stored; unknown ids are left out."""
        rows = await self._database.run(lambda c: c.fetch(_QUERIES["fetch_by_ids"], list(ids)))
        return [read_memory(row) for row in rows]

    async def resolve(self, reference: str) -> UUID:
        """
        Return the id a user means by a whole id or the digits it ends with.

        Raises:
            NotFound, or Conflict where several memories' ids end so.
        """
        return await find_reference(self._database, reference)

    async def get(self, identifier: UUID) -> Memory:
        """Return one memory, also a superseded one; raises `NotFound`."""
        row = await self._database.run(lambda c: c.fetchrow(_QUERIES["fetch_by_id"], identifier))
        if row is None:
            raise no_memory(str(identifier))
        return read_memory(row)

    async def list_memories(
        self,
        wanted: MemoryFilter,
        *,
        limit: int = 20,
        offset: int = 0,
        after: tuple[datetime, int] | None = None,
    ) -> list[Memory]:
        """
        Return live memories that pass the filter, newest first.

        `after` is the time and number of the last one of the page before, which new ones do not shift.
        """
        check_limit(limit)
        check_offset(offset)
        scopes = list(await self._scopes.visible(wanted))
        rows = await self._database.run(
            lambda c: c.fetch(
                _QUERIES["list_memories"],
                scopes,
                limit,
                offset,
                *(after or (None, None)),
                wanted.condition,
                *wanted.fine_parameters,
            )
        )
        return [read_memory(row) for row in rows]

    async def list_heads(
        self, *, limit: int, after: tuple[datetime, int] | None = None
    ) -> list[Head]:
        """Return the newest live memories without their texts; `after` is that of `list_memories`."""
        scopes = list(await self._scopes.visible(MemoryFilter()))
        values = (scopes, limit, *(after or (None, None)))
        rows = await self._database.run(lambda c: c.fetch(_QUERIES["list_heads"], *values))
        return [Head(*row) for row in rows]

    async def embed_waiting(self, *, limit: int = BATCH_SIZE) -> int:
        """
        Give vectors to up to `limit` of the caller's waiting memories; returns how many got one.

        A text that the model cannot embed goes on waiting, behind the others, with a logged warning;
        text search finds it. Raises what the embedder raises, `Unavailable` when there is none.
        """
        table = await self._space.claim()

        return await self._database.run(lambda c: give_vectors(c, self._space, table, limit))

    async def count_waiting(self, *, cap: int = 10_000) -> int:
        """Return how many visible memories have no vector yet, counting no further than `cap`."""
        count: int = await self._database.run(lambda c: c.fetchval(_QUERIES["count_waiting"], cap))
        return count

    async def stats(self) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """Return counts by type, collection and project, and the totals."""

        async def count(connection: Connection) -> tuple[list[Any], Any]:
            return (
                await connection.fetch(_QUERIES["count_by_collection"]),
                await connection.fetchrow(_QUERIES["count_totals"]),
            )

        groups, totals = await self._database.run(count)
        return [dict(row) for row in groups], dict(totals)


def read_memory(columns: Iterable[Any]) -> Memory:
    """Make a `Memory` of the columns of a query that gives rows of `memory`."""
    return Memory(*columns)


async def _in_thread_if_long(size: int, build: Any) -> Any:
    return await asyncio.to_thread(build) if size > 32 else build()
