"""
Bring the lines of an export into a database that may have some of it.

Each batch is one transaction, and every row is found again by its id, so that the database itself says where
an import that was broken off goes on.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from mahavishnu.base.errors import Forbidden, MahavishnuError, Unavailable, UsageError
from mahavishnu.database.pool import Connection, Database
from mahavishnu.database.vectors import VectorTable
from mahavishnu.embedding.port import ModelIdentity
from mahavishnu.memory.models import utc_now
from mahavishnu.memory.scoping import Scopes
from mahavishnu.memory.space import EmbeddingSpace
from mahavishnu.memory.statements import load_memory_queries
from mahavishnu.memory.transfer.lines import (
    END,
    PLURALS,
    read_header,
    read_memory,
    read_row,
)
from mahavishnu.memory.transfer.memories import (
    KNOWN,
    OUTCOMES,
    STORED,
    PlacedMemory,
    Tables,
    bring_memories,
)

BATCH_LINES, BATCH_BYTES = 512, 8 * 1024**2
MAX_LINE = 64 * 1024**2  # a text of 1 MiB, all of it escaped, with its vectors
MOST_NAMED = 100
EXPIRED = "expired"
_COLLECTIONS = {"turn": "conversation", "execution": "execution"}
_ID_TAKEN = "Its id, or its place, belongs to something else."
_NO_MEMORY = "Its memory is not there, or its id belongs to something else."

_QUERIES, _MEMORIES = load_memory_queries("transfer"), load_memory_queries("memories")

type ImportReport = Callable[[int], Awaitable[None]]
type Numbered[T] = tuple[int, T]  # with the number of its line


@dataclass
class LineOutcome:
    """How many lines of each kind became what; `problems` names the first refused ones by their lines."""

    counts: dict[str, Counter[str]] = field(default_factory=dict)
    refused: int = 0
    problems: list[Numbered[str]] = field(default_factory=list)
    vectors_left_out: bool = False

    def count(self, kind: str, outcome: str) -> None:
        """Count a line."""
        self.counts.setdefault(PLURALS[kind], Counter())[outcome] += 1

    def refuse(self, number: int, why: str) -> None:
        """Count and name a line that did not come in."""
        self.refused += 1
        if len(self.problems) < MOST_NAMED:
            self.problems.append((number, why))


class Import:
    """One import: what the lines say becomes the caller's own."""

    def __init__(self, database: Database, space: EmbeddingSpace, scopes: Scopes) -> None:
        self._database = database
        self._space = space
        self._scopes = scopes
        self._table: VectorTable | None = None
        self._outcome = LineOutcome()
        self._now = utc_now()

    async def read(self, stream: BinaryIO, report: ImportReport) -> LineOutcome:
        """
        Bring in all lines that can be; the others are named in the outcome.

        Raises:
            UsageError: it is no export, or one of a later release.
            Unavailable, Forbidden: the database is in the way; the same call goes on later.
        """
        header = read_header(stream.readline(MAX_LINE))
        if header.vectors_of is not None:
            self._table = await self._table_of(header.vectors_of)
            self._outcome.vectors_left_out = self._table is None
        clock = _MEMORIES["read_clock"]
        self._now = await self._database.run(lambda c: c.fetchval(clock))
        seen: Counter[str] = Counter()
        batch: list[Numbered[Any]] = []
        of_batch, size, number, ended = "", 0, 1, False
        while line := stream.readline(MAX_LINE):
            number += 1
            try:
                kind, values = read_row(line)
                if kind == END:
                    ended = True
                    self._compare(number, seen, values)
                    continue
                seen[PLURALS[kind]] += 1
                if kind != of_batch or len(batch) == BATCH_LINES or size > BATCH_BYTES:
                    await self._bring(of_batch, batch)
                    await report(len(batch))
                    of_batch, batch, size = kind, [], 0
                placed = await self._place(kind, values)
            except UsageError as error:
                self._outcome.refuse(number, error.message)
                continue
            if placed is not None:
                batch.append((number, placed))
                size += len(line)
        await self._bring(of_batch, batch)
        if not ended:
            self._outcome.refuse(number, "The export ends here, before its last line.")
        return self._outcome

    async def _table_of(self, identity: ModelIdentity) -> VectorTable | None:
        try:
            return await self._space.table_of(identity)
        except (Forbidden, Unavailable):
            return None  # they are made again from the texts

    def _compare(self, number: int, seen: Counter[str], told: Mapping[str, Any]) -> None:
        for kind, count in told.items():
            if seen[kind] != count:
                self._outcome.refuse(
                    number, f"The export had {count} {kind}; here are {seen[kind]}."
                )

    async def _place(self, kind: str, values: dict[str, Any]) -> Any:
        """Return a line with its scope as it is brought in; None where its time is over."""
        if kind == "project":
            return values
        if kind == "memory":
            dimensions = self._table.dimensions if self._table else None
            line = read_memory(values, dimensions, self._now)
            if line is None:
                self._outcome.count(kind, EXPIRED)
                return None
            return line, await self._scopes.place(line.new)
        project = values.pop("project")
        project_id = await self._scopes.own_project(project) if project else None
        visibility = values.pop("visibility")
        collection: Any = _COLLECTIONS[kind]
        scope = await self._scopes.own_scope(visibility, project_id, collection)
        return values | {"scope_no": scope}

    async def _bring(self, kind: str, batch: Sequence[Numbered[Any]]) -> None:
        """Bring in a batch; where the database refuses one of its lines, the others by halves."""
        if not batch:
            return
        bring = self._bring_memories if kind == "memory" else self._bring_records
        try:
            outcomes = await bring(kind, batch)
        except (Unavailable, Forbidden):
            raise
        except MahavishnuError as error:
            if len(batch) == 1:
                self._outcome.refuse(batch[0][0], error.message)
                return
            half = len(batch) // 2
            await self._bring(kind, batch[:half])
            await self._bring(kind, batch[half:])
            return
        for (number, _), outcome in zip(batch, outcomes, strict=True):
            if outcome in OUTCOMES:
                self._outcome.count(kind, outcome)
            else:
                self._outcome.refuse(number, outcome)

    async def _bring_records(self, kind: str, batch: Sequence[Numbered[Any]]) -> list[str]:
        lines = [values for _, values in batch]

        async def put(connection: Connection) -> dict[str, bool]:
            async with connection.transaction():
                rows = await connection.fetch(_QUERIES[f"put_{PLURALS[kind]}"], lines)
                if kind == "project":
                    await connection.execute(_QUERIES["put_aliases"], lines)
                return {str(row["id"]): row["stored"] for row in rows}

        found = await self._database.run(put)
        missing = _NO_MEMORY if kind == "turn" else _ID_TAKEN
        names = {True: STORED, False: KNOWN, None: missing}
        return [names[found.get(str(line["id"]))] for line in lines]

    async def _bring_memories(self, _kind: str, batch: Sequence[Numbered[Any]]) -> list[str]:
        lines: list[PlacedMemory] = [values for _, values in batch]
        active = await self._space.active()
        tables = Tables(self._table, active and active[0])

        async def put(connection: Connection) -> list[str]:
            async with connection.transaction():
                outcomes = await bring_memories(connection, lines, tables)
                left = [i for i in range(len(lines)) if i not in outcomes]
                if left:  # another writer's text or an expired one is in the way; or a hidden id
                    await connection.execute(_MEMORIES["purge_expired"])
                    again = await bring_memories(connection, [lines[i] for i in left], tables)
                    outcomes |= {left[i]: outcome for i, outcome in again.items()}
                return [outcomes.get(i, _ID_TAKEN) for i in range(len(lines))]

        return await self._database.run(put)
