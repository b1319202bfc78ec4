"""
Vectors in memory, kept true: filled from PostgreSQL, and brought up to date by the change feed.

What was stored after the last look is compared at each question, so nothing is missed in between; what was forgotten
is passed over where the hits are read. An answer is that of PostgreSQL but for one thing: where more than `MOST_ASKED`
memories wait for their vectors, one that gets its own may be found by it a second late.
"""

import asyncio
import heapq
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from mahavishnu.database.pool import Connection, Database
from mahavishnu.database.queries import load_queries
from mahavishnu.database.vectors import VectorTable
from mahavishnu.memory.arms import WIDENING, Comparison, VectorHit, match_vectors
from mahavishnu.memory.hot.vectors import Matrix, ScopeVectors, as_numbers, read_vectors
from mahavishnu.memory.models import VectorLike
from mahavishnu.memory.selection import Selection
from mahavishnu.memory.space import EmbeddingSpace

PAGE = 4_000  # rows that are read at once
MOST_ASKED = 1_000  # memories that wait for vectors, of which each question asks
_QUERIES = load_queries("hot")


class _Chunk(NamedTuple):
    """A piece of a memory, and its cosine to the question."""

    cosine: float
    memory_no: int
    scope_no: int
    start: int
    end: int


@dataclass
class _Copy:
    """The vectors of one table, true up to the transaction `horizon`; `waiting` memories had none then."""

    table: VectorTable
    horizon: int
    scopes: dict[int, ScopeVectors] = field(default_factory=dict)
    waiting: set[int] = field(default_factory=set)

    @property
    def size_bytes(self) -> int:
        return sum(each.size_bytes for each in self.scopes.values())


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
        self.missing: str = "It is being filled."  # why it does not answer, or nothing

    @property
    def size_bytes(self) -> int:
        """About how much memory it takes."""
        return self._copy.size_bytes if self._copy else 0

    def __len__(self) -> int:
        """How many vectors it has."""
        scopes = self._copy.scopes.values() if self._copy else ()
        return sum(int(each.rows.alive.sum()) for each in scopes)

    def clear(self) -> None:
        """Forget everything: the database was replaced."""
        self._copy, self.missing = None, "It is being filled."

    async def follow(self) -> None:
        """Fill the copy or bring it up to date; raises `MahavishnuError` where PostgreSQL cannot be asked."""
        active = await self._space.active()
        if active is None:
            self._copy, self.missing = None, "No embedding model is in use yet."
            return
        copy = self._copy
        if copy is None or copy.table != active[0]:
            copy = _Copy(active[0], 0)
        horizon, visible = await self._database.run(_read_visible)
        if copy.horizon:
            await self._take_changes(copy, horizon)
        for hidden in copy.scopes.keys() - visible:
            del copy.scopes[hidden]
        try:
            await self._fill(copy, visible - copy.scopes.keys())
            if copy.size_bytes > self._limit:
                raise _TooLarge
        except _TooLarge:
            self._copy = None
            limit = self._limit // 2**20
            self.missing = f"The vectors take more than {limit} MB, which is memory.hot.max_mb."
            return
        copy.horizon = horizon
        self._copy, self.missing = copy, ""
        for each in copy.scopes.values():
            if each.needs_graph:
                each.take_graph(*await asyncio.to_thread(each.build_graph))

    async def _fill(self, copy: _Copy, scopes: set[int]) -> None:
        """Read all vectors of scopes; those that are made meanwhile are read again."""
        if not scopes:
            return
        wanted = sorted(scopes)
        # First who waits: whoever has a vector by the time that it is asked for is read then.
        waiting = await self._fetch(_QUERIES["find_waiting"], wanted, None)
        copy.waiting |= {row["memory_no"] for row in waiting}
        filled = {scope: ScopeVectors(copy.table.dimensions) for scope in wanted}
        after = (0, -1)
        while rows := await self._fetch(copy.table.page(), wanted, *after, PAGE):
            self._add(filled, copy.table, rows)
            if copy.size_bytes + sum(each.size_bytes for each in filled.values()) > self._limit:
                raise _TooLarge
            after = rows[-1]["memory_no"], rows[-1]["chunk_no"]
        copy.scopes |= filled

    async def _take_changes(self, copy: _Copy, horizon: int) -> None:
        rows = await self._fetch(_QUERIES["read_changes"], copy.horizon, horizon)
        known = [row for row in rows if row["scope_no"] in copy.scopes]
        ended: defaultdict[int, set[int]] = defaultdict(set)
        for row in known:
            if row["memory_no"] is not None:
                ended[row["scope_no"]].add(row["memory_no"])
        for scope in {row["scope_no"] for row in known if row["memory_no"] is None}:
            vectors = copy.scopes[scope].rows
            there = np.unique(vectors.memory_nos[vectors.alive]).tolist()
            gone = await self._fetch(_QUERIES["find_gone"], there)
            ended[scope] |= {row["memory_no"] for row in gone}
        for scope, numbers in ended.items():
            copy.scopes[scope].rows.remove(as_numbers(numbers))
            copy.waiting -= numbers
        stored = {row["memory_no"] for row in known if row["kind"] == "stored"} - {None}
        asked = sorted(stored | copy.waiting)
        if not asked:
            return
        waiting = await self._fetch(_QUERIES["find_waiting"], sorted(copy.scopes), asked)
        self._add(copy.scopes, copy.table, await self._fetch(copy.table.of_memories(), asked))
        copy.waiting = {row["memory_no"] for row in waiting}

    def _add(
        self, scopes: Mapping[int, ScopeVectors], table: VectorTable, rows: Sequence[Any]
    ) -> None:
        by_scope: defaultdict[int, list[Any]] = defaultdict(list)
        for row in rows:
            by_scope[row["scope_no"]].append(row)
        for scope in by_scope.keys() & scopes.keys():
            own = by_scope[scope]
            vectors = read_vectors([row["vector"] for row in own], table.dimensions)
            numbers = as_numbers([row["memory_no"] for row in own])
            ranges = np.array([(row["char_start"], row["char_end"]) for row in own], np.int64)
            scopes[scope].add(numbers, ranges, vectors)

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
    ) -> tuple[dict[int, VectorHit], Comparison]:
        """Do what `match_vectors` does, in memory where all scopes are there and no finer filter is asked for."""
        copy = self._copy
        if (
            copy is None or copy.table != table or selection.numbers is not None
            or selection.wide is not None or not selection.scopes.keys() <= copy.scopes.keys()
        ):  # fmt: skip
            return await match_vectors(
                connection, table, vector, selection, depth, at_least=at_least
            )
        some = list(copy.waiting) if len(copy.waiting) <= MOST_ASKED else []
        rows = await connection.fetch(table.late(), copy.horizon, some)
        question = np.asarray(vector, np.float32)
        late = _compare(
            [row for row in rows if row["scope_no"] in selection.scopes], question, table.dimensions
        )
        searched = [copy.scopes[scope] for scope in selection.scopes]
        total = sum(len(each.rows) for each in searched)
        while True:
            hits = _choose([*late, *_search(copy, selection, question, depth, late)], depth)
            if len(hits) >= at_least or depth >= total + len(late):
                break
            depth *= WIDENING
        exact = all(each.is_exact for each in searched)
        return hits, "exact in memory" if exact else "hnsw in memory"


class _TooLarge(Exception):
    """More vectors than the limit allows."""


async def _read_visible(connection: Connection) -> tuple[int, set[int]]:
    row = await connection.fetchrow(_QUERIES["read_visible"])
    assert row is not None
    return row["horizon"], set(row["scopes"])


def _compare(rows: Sequence[Any], question: Matrix, dimensions: int) -> list[_Chunk]:
    """Compare rows as the database gave them."""
    if not rows:
        return []
    cosines = read_vectors([row["vector"] for row in rows], dimensions) @ question
    return [
        _Chunk(cosine, row["memory_no"], row["scope_no"], row["char_start"], row["char_end"])
        for cosine, row in zip(cosines.tolist(), rows, strict=True)
    ]


def _search(
    copy: _Copy, selection: Selection, question: Matrix, depth: int, late: Sequence[_Chunk]
) -> Iterator[_Chunk]:
    """Yield the nearest chunks of each scope, but those of memories that came late, which are newer."""
    newer = {each.memory_no for each in late}
    for scope in selection.scopes:
        known = copy.scopes[scope]
        rows, cosines = known.nearest(question, depth)
        numbers, ranges = known.rows.memory_nos[rows].tolist(), known.rows.ranges[rows].tolist()
        for cosine, number, (start, end) in zip(cosines.tolist(), numbers, ranges, strict=True):
            if number not in newer:
                yield _Chunk(cosine, number, scope, start, end)


def _choose(chunks: Sequence[_Chunk], depth: int) -> dict[int, VectorHit]:
    """Return the memories of the nearest chunks, with their best ones."""
    hits: dict[int, VectorHit] = {}
    for each in heapq.nsmallest(depth, chunks, key=lambda chunk: -chunk.cosine):
        hits.setdefault(each.memory_no, VectorHit(each.scope_no, each.cosine, each.start, each.end))
    return hits
