"""
Forgetting that can be taken back: memories become tombstones, which are deleted for good after a time.

All times are the database's: a clock of this process that is wrong neither shortens nor lengthens them.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import batched
from typing import Any
from uuid import UUID

import msgspec

from mahavishnu.base.errors import Conflict, NotFound
from mahavishnu.base.identifiers import parse_reference, shown
from mahavishnu.database.pool import Connection, Database
from mahavishnu.database.vectors import VectorTable
from mahavishnu.memory.checks import check_limit, check_moment
from mahavishnu.memory.duplicates import id_taken
from mahavishnu.memory.lexicon import count_terms
from mahavishnu.memory.references import only_one
from mahavishnu.memory.space import EmbeddingSpace
from mahavishnu.memory.statements import load_memory_queries
from mahavishnu.memory.superseding import lock_scopes

AT_ONCE = 512  # memories of one transaction
# What holds a text beside the database, and is not reached by deleting it there.
NOT_REACHED = (
    "backups that were made before (mahavishnu backup list), and exports",
    "the database that a restore replaced, which an undo brings back (mahavishnu backup prune --replaced drops it)",
    "PostgreSQL's own files, until it has cleaned them up (VACUUM, and its write-ahead log)",
)
_QUERIES = load_memory_queries("forgetting")
_PURGE = load_memory_queries("memories")["purge_expired"]
_LOCK = load_memory_queries("memories")["lock_pair"]


async def _nothing_waits() -> None:
    pass


@dataclass(frozen=True)
class ForgettingRules:
    """How long what is forgotten can be restored, and how old the memories of a type get; without an age all stay."""

    restorable_for: timedelta = timedelta(days=7)
    retention: Mapping[str, timedelta] = field(default_factory=dict)


class Tombstone(msgspec.Struct, frozen=True):
    """A memory that can be restored; `beginning` has up to 320 characters of its text."""

    id: UUID
    collection: str
    project: str | None
    beginning: str
    occurred_at: datetime
    forgotten_at: datetime
    restorable_until: datetime


class Forgetting:
    """
    Takes the caller's own memories away, and puts them back.

    `store_waiting` stores what waits in the spool: an entry that a killed process left there would bring back
    what is forgotten now.
    """

    def __init__(self, database: Database, space: EmbeddingSpace, rules: ForgettingRules) -> None:
        self._database = database
        self.store_waiting: Callable[[], Awaitable[None]] = _nothing_waits
        self._space = space
        self.rules = rules

    async def forget(
        self,
        ids: Sequence[UUID],
        *,
        dry_run: bool = False,
        purge: bool = False,
        derived: bool = True,
    ) -> list[UUID]:
        """
        Forget one's own memories, and every older version that they replaced, `AT_ONCE` to a transaction.

        Where `derived`, insights go along that were found in nothing else. They can be restored for a time. With
        `purge` they are deleted for good, and so are those of these ids that were forgotten before, and tombstones
        of the same text in the same place.

        Returns:
            The ids that are gone (or would be). Others' memories and unknown ids are left out.
        """
        await self.store_waiting()
        table = await self._table()
        gone: dict[UUID, None] = {}
        for part in batched(dict.fromkeys(ids), AT_ONCE, strict=False):
            work = self._forget(part, table, dry_run=dry_run, purge=purge, derived=derived)
            gone |= dict.fromkeys(await work)
        return list(gone)

    async def _forget(
        self,
        ids: Sequence[UUID],
        table: VectorTable | None,
        *,
        dry_run: bool,
        purge: bool,
        derived: bool,
    ) -> list[UUID]:
        async def take_away(connection: Connection) -> list[UUID]:
            async with connection.transaction():
                live = await _ids(connection, "select_chain", list(ids))
                if (
                    not dry_run
                ):  # whoever finds insights in them at this moment waits, and finds them gone
                    await connection.execute(_LOCK, live)
                named = list({*live, *ids})
                if purge:
                    named = await _with_further(connection, "select_forgotten_along", named)
                if derived:
                    live = await _with_further(connection, "select_derived", live)
                    named = list({*live, *named})
                dead = await _ids(connection, "delete_tombstones", named, dry_run) if purge else []
                if dry_run or not live:
                    return [*live, *dead]
                if not purge:
                    keep = self.rules.restorable_for
                    await connection.execute(_QUERIES["add_tombstones"], live, keep)
                    if table is not None:
                        await connection.execute(table.keep_forgotten(), live)
                await connection.execute(_QUERIES["clear_executions"], live)
                await connection.execute(_QUERIES["delete"], live)
                return [*live, *dead]

        return await self._database.run(take_away, repeatable=dry_run)

    async def restore(self, ids: Sequence[UUID]) -> list[UUID]:
        """
        Put back what was forgotten, with its versions, all or nothing; returns the ids that came back.

        Insights that went along come back too, unless they were found again meanwhile.

        Id, times, metadata, vectors and the place in a conversation are what they were. What has expired
        meanwhile stays from now on. An id that is not forgotten, but there, is left alone.

        Raises:
            NotFound: one of them is neither there nor forgotten; it may have been deleted for good.
            Conflict: the same text, another text of the same source, or another memory of that id was stored since.
        """
        await self.purge_expired()
        table = await self._table()

        async def put_back(connection: Connection) -> list[UUID]:
            async with connection.transaction():
                along = await _with_further(connection, "select_forgotten_along", ids)
                rows = await connection.fetch(_QUERIES["take_tombstones"], along)
                back = {row["id"] for row in rows}
                live = await _ids(connection, "find_live", list(ids))
                for each in ids:
                    if each not in back and each not in live:
                        raise nothing_to_restore(str(each))
                if rows:
                    await _put_back(connection, rows, table)
                return [row["id"] for row in rows]

        return await self._database.run(put_back)

    async def restore_since(self, since: datetime) -> tuple[list[UUID], list[UUID]]:
        """Put back what was forgotten from a time on; returns what came back, and what something else replaced."""
        check_moment(since, what="since")
        back: list[UUID] = []
        replaced: list[UUID] = []
        wanted = await self._database.run(lambda c: _ids(c, "select_tombstones", since))
        for part in batched(wanted, AT_ONCE, strict=False):
            try:
                back += await self.restore(part)
                continue
            except Conflict:
                pass
            for each in part:
                try:
                    back += await self.restore([each])
                except Conflict:
                    replaced.append(each)
        return back, replaced

    async def list_tombstones(
        self, *, since: datetime | None = None, limit: int = 20
    ) -> tuple[list[Tombstone], int]:
        """Return what can be restored, last forgotten first, and how many; without older versions."""
        check_moment(since, what="since")
        check_limit(limit)
        values = (limit, since)
        rows = await self._database.run(lambda c: c.fetch(_QUERIES["list_tombstones"], *values))
        return [Tombstone(*row[:-1]) for row in rows], rows[0]["total"] if rows else 0

    async def resolve(self, reference: str) -> UUID:
        """
        Return the id of what can be restored that a user means by an id or the digits it ends with.

        Raises:
            NotFound, or Conflict where several ids end so.
        """
        parsed = parse_reference(reference)
        digits = parsed.hex if isinstance(parsed, UUID) else parsed
        found = await self._database.run(lambda c: _ids(c, "find_tombstones", digits))
        if not found:
            raise nothing_to_restore(reference)
        return only_one(found, reference)

    async def count_old(self) -> dict[str, int]:
        """Count by type the live memories that are older than its retention."""
        rows = await self._database.run(lambda c: c.fetch(_QUERIES["count_old"], *self._ages()))
        return {row["memory_type"]: row["memories"] for row in rows}

    async def prune(self) -> int:
        """Forget what is older than the retention of its type, older versions too; returns how many."""
        count = 0
        while old := await self._database.run(
            lambda c: _ids(c, "select_old", *self._ages(), AT_ONCE)
        ):
            gone = await self.forget(old, derived=False)  # what was learnt outlasts what was said
            count += len(gone)
            if not gone:  # another process was faster, or forbids it
                break
        return count

    def _ages(self) -> tuple[list[str], list[timedelta]]:
        return [*self.rules.retention], [*self.rules.retention.values()]

    async def purge_expired(self) -> None:
        """Delete for good one's own tombstones and memories whose time is over."""
        await self._database.run(lambda c: c.execute(_PURGE))

    async def _table(self) -> VectorTable | None:
        active = await self._space.active()
        return active and active[0]


async def _put_back(connection: Connection, rows: Sequence[Any], table: VectorTable | None) -> None:
    numbers = [row["memory_no"] for row in rows]
    # Of two that decide which text of a source is the live one, one waits.
    await lock_scopes(connection, [row["scope_no"] for row in rows])
    await _require_place(connection, numbers)
    back = await connection.fetch(_QUERIES["put_back"], numbers)
    if len(back) < len(numbers):
        await _require_place(connection, numbers)  # one that was stored at this moment
        done = {row["memory_no"] for row in back}
        raise id_taken(next(row["id"] for row in rows if row["memory_no"] not in done))
    live = [row for row in rows if row["live"]]
    postings = [
        (term, row["memory_no"], row["scope_no"], count, length)
        for row in live
        for counts, length in [count_terms(row["text"])]
        for term, count in counts.items()
    ]
    if postings:
        columns = [list(column) for column in zip(*postings, strict=True)]
        await connection.execute(_QUERIES["put_postings"], *columns)
    heads = [row["memory_no"] for row in live]
    if table is not None:
        await connection.execute(table.put_back(), heads)
    await connection.execute(_QUERIES["put_in_queue"], heads, table.model_no if table else 0)
    for name in ("put_turns", "put_executions", "put_aliases", "drop_tombstones"):
        await connection.execute(_QUERIES[name], numbers)


async def _require_place(connection: Connection, numbers: Sequence[int]) -> None:
    """Raise `Conflict` where another memory has the place of one of these."""
    row = await connection.fetchrow(_QUERIES["find_in_place"], numbers)
    if row is not None:
        other = shown(row["in_place"])
        raise Conflict(
            f"{shown(row['id'])} cannot be restored: {other} was stored in its place.",
            hint=f"Keep that one, or forget it first: mahavishnu memory forget {other}",
            code="memory.replaced",
        )


def nothing_to_restore(reference: str) -> NotFound:
    """Return the error for what is neither forgotten nor there."""
    return NotFound(
        f"There is no forgotten memory {reference}.",
        hint="What can be restored: mahavishnu memory restore --list",
        code="memory.not_forgotten",
    )


async def _with_further(connection: Connection, query: str, ids: Sequence[UUID]) -> list[UUID]:
    """Return ids, with what a query finds to them, and to that, until it finds nothing more."""
    known = list(ids)
    while known and (further := await _ids(connection, query, known)):
        known += further
    return known


async def _ids(connection: Connection, query: str, *values: object) -> list[UUID]:
    return [row["id"] for row in await connection.fetch(_QUERIES[query], *values)]
