"""
Vectors in memory, kept true: filled from PostgreSQL, and brought up to date by the change feed.

What was stored after the last look is compared at each question, so nothing is missed in between; what was forgotten
is passed over where the hits are read. An answer is that of PostgreSQL but for one thing: where more than `MOST_ASKED`
memories wait for their vectors, one that gets its own may be found by it a second late.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import numpy as np

from mahavishnu.database.pool import Connection, Database
from mahavishnu.database.queries import load_queries
from mahavishnu.database.vectors import VectorTable
from mahavishnu.memory.arms import WIDENING, Comparison, Matched, VectorHit, match_vectors
from mahavishnu.memory.hot.vectors import Nearest, Vectors, as_numbers, compare, read_vectors
from mahavishnu.memory.models import VectorLike
from mahavishnu.memory.selection import Selection
from mahavishnu.memory.space import EmbeddingSpace

PAGE = 4_000  # rows that are read at once
MOST_ASKED = 1_000  # memories that wait for vectors, of which each question asks
MOST_LATE = 1_000  # vectors stored after the last look that a question compares itself
TOO_LARGE_S = 300.0  # until it is tried again: that reads all vectors up to the limit
GROW_S = 5.0  # how long a graph grows before changes are looked for again
_QUERIES = load_queries("hot")


@dataclass
class _Copy:
    """
    The vectors of one table, true up to the transaction `horizon`; `waiting` memories had none then.

    `has_changed` tells that more is known to have been stored since.
    """

    table: VectorTable
    vectors: Vectors
    horizon: int = 0
    scopes: set[int] = field(default_factory=set)
    waiting: set[int] = field(default_factory=set)
    has_changed: bool = False


class HotIndex:
    """
    A copy of the vectors that the caller's role sees, in at most `limit_bytes`.

    `follow` keeps it; `match` searches it, and PostgreSQL where the copy does not hold all that is asked for.
    """

    def __init__(self, database: Database, space: EmbeddingSpace, *, limit_bytes: int) -> None:
        self._database = database
        self._space = space
        self._limit = limit_bytes
        self._copy: _Copy | None = None
        self._not_before = 0.0  # when it may be filled again
        self.missing: str = "It is being filled."  # why it does not answer, or nothing

    @property
    def size_bytes(self) -> int:
        """About how much memory it takes."""
        return self._copy.vectors.size_bytes if self._copy else 0

    def __len__(self) -> int:
        """How many vectors it has."""
        return int(self._copy.vectors.rows.alive.sum()) if self._copy else 0

    async def holds(self, memory: UUID) -> bool:
        """Tell whether it has a memory's vectors by now."""
        number = await self._database.run(lambda c: c.fetchval(_QUERIES["find_number"], memory))
        if number is None or self._copy is None:
            return False
        rows = self._copy.vectors.rows
        return bool(rows.alive[rows.memory_nos == number].any())

    def clear(self) -> None:
        """Forget everything: the database was replaced."""
        self._copy, self._not_before, self.missing = None, 0.0, "It is being filled."

    async def follow(self) -> None:
        """Fill the copy or bring it up to date; raises `MahavishnuError` where PostgreSQL cannot be asked."""
        active = await self._space.active()
        if active is None:
            self._copy, self.missing = None, "No embedding model is in use yet."
            return
        copy = self._copy
        if copy is None and time.monotonic() < self._not_before:
            return
        if copy is None or copy.table != active[0] or copy.vectors.is_worn:
            copy = _Copy(active[0], Vectors(active[0].dimensions))
        try:
            await self._follow(copy)
        except _TooLarge:
            self._copy, self._not_before = None, time.monotonic() + TOO_LARGE_S
            limit = self._limit // 2**20
            self.missing = f"The vectors take more than {limit} MB, which is memory.hot.max_mb."

    async def _follow(self, copy: _Copy) -> None:
        horizon, visible = await self._database.run(_read_visible)
        if copy.horizon:
            await self._take_changes(copy, horizon)
        rows = copy.vectors.rows
        if hidden := copy.scopes - visible:
            rows.remove(np.isin(rows.scope_nos, as_numbers(hidden)))
            copy.scopes -= hidden
        await self._fill(copy, visible - copy.scopes)
        self._check_size(copy)
        copy.horizon, copy.has_changed = horizon, False
        self._copy = copy
        until = time.monotonic() + GROW_S
        while copy.vectors.needs_graph and time.monotonic() < until:
            copy.vectors.grow_graph()
            await asyncio.sleep(0)
        self._check_size(copy)
        if not copy.vectors.needs_graph:
            self.missing = ""

    def _check_size(self, copy: _Copy) -> None:
        if copy.vectors.size_bytes > self._limit:
            raise _TooLarge

    async def _fill(self, copy: _Copy, scopes: set[int]) -> None:
        """Read all vectors of scopes, one after the other; those that are made meanwhile are read again."""
        if not scopes:
            return
        wanted = sorted(scopes)
        # First who waits: whoever has a vector by the time that it is asked for is read then.
        waiting = await self._fetch(_QUERIES["find_waiting"], wanted, None)
        copy.waiting |= {row["memory_no"] for row in waiting}
        rows = copy.vectors.rows
        rows.remove(np.isin(rows.scope_nos, as_numbers(wanted)))  # of an attempt that failed
        for scope in wanted:
            after = (0, -1)
            while page := await self._fetch(copy.table.page(), [scope], *after, PAGE):
                _add(copy, page)
                self._check_size(copy)
                after = page[-1]["memory_no"], page[-1]["chunk_no"]
        copy.scopes |= scopes

    async def _take_changes(self, copy: _Copy, horizon: int) -> None:
        rows = await self._fetch(_QUERIES["read_changes"], copy.horizon, horizon)
        changed = [row for row in rows if row["scope_no"] in copy.scopes]
        ended = {row["memory_no"] for row in changed} - {None}
        known = copy.vectors.rows
        if purged := {row["scope_no"] for row in changed if row["memory_no"] is None}:
            there = known.counting(purged, slice(None))
            numbers = np.unique(known.memory_nos[there]).tolist()
            gone = await self._fetch(_QUERIES["find_gone"], numbers)
            ended |= {row["memory_no"] for row in gone}
        copy.waiting -= ended
        stored = {row["memory_no"] for row in changed if row["kind"] == "stored"} - {None}
        asked = sorted(stored | copy.waiting)
        waiting: Sequence[Any] = ()
        found: Sequence[Any] = ()
        if asked:
            waiting = await self._fetch(_QUERIES["find_waiting"], sorted(copy.scopes), asked)
            found = await self._fetch(copy.table.of_memories(), asked)
        replaced = ended | {row["memory_no"] for row in found}
        if replaced:
            known.remove(np.isin(known.memory_nos, as_numbers(replaced)))
        _add(copy, [row for row in found if row["scope_no"] in copy.scopes])
        copy.waiting = {row["memory_no"] for row in waiting}

    async def _fetch(self, statement: str, *values: object) -> Sequence[Any]:
        found: Sequence[Any] = await self._database.run(lambda c: c.fetch(statement, *values))
        return found

    async def match(
        self,
        connection: Connection,
        table: VectorTable,
        vector: VectorLike,
        selection: Selection,
        depth: int,
        *,
        at_least: int,
        to_the_last: bool = False,
    ) -> Matched:
        """
        Do what `match_vectors` does, in memory where all scopes are there and no finer filter is asked for.

        Where `to_the_last` does not ask for it, what was stored since the last look may be missing: then `as_of` tells.
        """
        copy = self._copy
        if copy is not None and _holds(copy, table, selection):
            if to_the_last or copy.has_changed or copy.waiting:
                await self._database.plan_each(connection)
            found = await _match(copy, connection, vector, selection, depth, at_least, to_the_last)
            if found is not None:
                return found
        await self._database.plan_each(connection)
        return await match_vectors(connection, table, vector, selection, depth, at_least=at_least)


class _TooLarge(Exception):
    """More vectors than the limit allows."""


async def _read_visible(connection: Connection) -> tuple[int, set[int]]:
    row = await connection.fetchrow(_QUERIES["read_visible"])
    assert row is not None
    return row["horizon"], set(row["scopes"])


def _add(copy: _Copy, rows: Sequence[Any]) -> None:
    """Take rows as the database gave them."""
    if not rows:
        return
    columns = ("memory_no", "scope_no")
    numbers, scopes = (as_numbers([row[name] for row in rows]) for name in columns)
    ranges = np.array([(row["char_start"], row["char_end"]) for row in rows], np.int64)
    vectors = read_vectors([row["vector"] for row in rows], copy.table.dimensions)
    copy.vectors.add(numbers, scopes, ranges, vectors)


def _holds(copy: _Copy, table: VectorTable, selection: Selection) -> bool:
    """Tell whether all that is asked for is in the copy."""
    finer = selection.numbers is not None or selection.wide is not None
    return copy.table == table and not finer and selection.scopes.keys() <= copy.scopes


async def _match(
    copy: _Copy,
    connection: Connection,
    vector: VectorLike,
    selection: Selection,
    depth: int,
    at_least: int,
    to_the_last: bool,
) -> Matched | None:
    """Search the copy and what came late; None where PostgreSQL has to."""
    question = np.asarray(vector, np.float32).astype(np.float16)
    late: dict[int, VectorHit] = {}
    newer: set[int] = set()  # of which the copy has no vector, or an old one
    copy.has_changed = looked = to_the_last or copy.has_changed
    if looked or copy.waiting:
        some = list(copy.waiting) if len(copy.waiting) <= MOST_ASKED else []
        rows = await connection.fetch(copy.table.late(), copy.horizon, some, MOST_LATE + 1)
        if len(rows) > MOST_LATE:
            return None
        newer = {row["memory_no"] for row in rows}
        late = _compare(
            [row for row in rows if row["scope_no"] in selection.scopes], question, copy.table
        )
    while True:
        near = copy.vectors.nearest(question, depth, selection.scopes)
        if near is None:
            return None
        hits = _choose(copy, near, newer, late, depth)
        if len(hits) >= at_least or near.is_all:
            how: Comparison = "hnsw in memory" if near.by_graph else "exact in memory"
            return Matched(hits, how, None if looked or copy.waiting else copy.horizon)
        depth *= WIDENING


def _compare(rows: Sequence[Any], question: Any, table: VectorTable) -> dict[int, VectorHit]:
    """Compare rows as the database gave them; of a memory's chunks the best counts."""
    if not rows:
        return {}
    vectors = read_vectors([row["vector"] for row in rows], table.dimensions)
    hits: dict[int, VectorHit] = {}
    for place, cosine in zip(
        *(each.tolist() for each in compare(vectors, question, len(rows))), strict=True
    ):
        row = rows[place]
        hit = VectorHit(row["scope_no"], cosine, row["char_start"], row["char_end"])
        hits.setdefault(row["memory_no"], hit)
    return hits


def _choose(
    copy: _Copy, near: Nearest, newer: set[int], late: dict[int, VectorHit], depth: int
) -> dict[int, VectorHit]:
    """Return the memories of the nearest rows with their best ones, and those that came late."""
    known = copy.vectors.rows
    columns = (known.memory_nos, known.scope_nos, known.ranges)
    numbers, scopes, ranges = (each[near.rows].tolist() for each in columns)
    hits: dict[int, VectorHit] = {}
    for number, scope, (start, end), cosine in zip(
        numbers, scopes, ranges, near.cosines.tolist(), strict=True
    ):
        if number not in newer and number not in hits:
            hits[number] = VectorHit(scope, cosine, start, end)
    if not late:
        return hits
    best = sorted((hits | late).items(), key=lambda item: -item[1].similarity)
    return dict(best[:depth])
