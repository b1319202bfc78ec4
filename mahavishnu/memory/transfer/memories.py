"""A batch of imported memories, within a transaction: what is there of each, and what is done about it."""

from collections import ChainMap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from mahavishnu.database.pool import Connection
from mahavishnu.database.vectors import VectorTable
from mahavishnu.memory.duplicates import find_stored
from mahavishnu.memory.insertion import build_batch, insert_batch
from mahavishnu.memory.statements import load_memory_queries
from mahavishnu.memory.superseding import leave_indexes
from mahavishnu.memory.transfer.lines import MemoryLine

KNOWN, SAME, SUPERSEDED, STORED = OUTCOMES = ("known", "same_text", "superseded", "stored")
_CIRCULAR = "What superseded it leads back to it."
_QUERIES, _MEMORIES = load_memory_queries("transfer"), load_memory_queries("memories")

type PlacedMemory = tuple[MemoryLine, int]  # with its scope
type Successors = Mapping[UUID, UUID]


@dataclass(frozen=True)
class Tables:
    """Where vectors that the export has go, and where those of retired memories are."""

    given: VectorTable | None
    active: VectorTable | None


async def bring_memories(
    connection: Connection, lines: Sequence[PlacedMemory], tables: Tables
) -> dict[int, str]:
    """
    Bring memories in; returns what became of each place, without those that something is in the way of.

    A memory that is there is left as it is, but for a successor that it did not have. A live text
    that is there under another id comes in as an older version of that, so that its id still leads to it.
    """
    outcomes: dict[int, str] = {}
    first: dict[UUID, int] = {}
    ids = [_id(line) for line, _ in lines]
    await connection.fetch(_MEMORIES["lock_pair"], ids)  # against others who supersede
    known = {row["id"]: row for row in await connection.fetch(_QUERIES["find_imported"], ids)}
    for place, (line, _) in enumerate(lines):
        row = known.get(ids[place])
        if row is None:
            first.setdefault(ids[place], place)
        elif row["own"] and row["content_hash"] == line.new.content_hash:
            is_older = row["superseded_by"] is None and line.superseded_by is not None
            outcomes[place] = SUPERSEDED if is_older else KNOWN
    retired = {ids[i]: i for i, outcome in outcomes.items() if outcome == SUPERSEDED}
    due = {
        identifier: successor
        for identifier, i in (first | retired).items()
        if (successor := lines[i][0].superseded_by) is not None
    }
    rows = await connection.fetch(_QUERIES["find_successors"], list(due.values()))
    stored = {row["id"]: row["superseded_by"] for row in rows}
    circular = find_circular(due, ChainMap(due, stored))
    outcomes |= {i: _CIRCULAR for i, identifier in enumerate(ids) if identifier in circular}
    newer = {each: due[each] for each in retired if each not in circular}
    await _retire(connection, newer, tables.active)
    fresh = [i for identifier, i in first.items() if identifier not in circular]
    return outcomes | await _insert(connection, lines, fresh, tables.given)


async def _retire(
    connection: Connection, successors: Successors, table: VectorTable | None
) -> None:
    if successors:
        columns = list(successors), list(successors.values())
        rows = await connection.fetch(_QUERIES["retire"], *columns)
        await leave_indexes(connection, [row["memory_no"] for row in rows], table)


async def _insert(
    connection: Connection,
    lines: Sequence[PlacedMemory],
    places: Sequence[int],
    table: VectorTable | None,
) -> dict[int, str]:
    if not places:
        return {}
    placed = [(line.new, scope) for line, scope in lines]
    live = [i for i in places if lines[i][0].superseded_by is None]
    twins = await find_stored(connection, placed, live) if live else {}
    chosen = [lines[i][0] for i in places]
    batch = build_batch(
        [placed[i] for i in places],
        [line.chunks if table is not None else [] for line in chosen],
        [
            (line.stored_at, twins[i].id if i in twins else line.superseded_by)
            for i, line in zip(places, chosen, strict=True)
        ],
    )
    inserted = await insert_batch(connection, batch, table)
    return {i: SAME if i in twins else STORED for i in places if _id(lines[i][0]) in inserted}


def find_circular(due: Successors, successors: Successors) -> frozenset[UUID]:
    """Return those of the ids `due` from which successors lead into a circle: none would ever be live."""
    ends: dict[UUID, bool] = {}
    for start in due:
        path: dict[UUID, None] = {}
        at: UUID | None = start
        while at is not None and at not in ends and at not in path:
            path[at] = None
            at = successors.get(at)
        closed = at is not None and ends.get(at, True)
        ends |= dict.fromkeys(path, closed)
    return frozenset(each for each in due if ends[each])


def _id(line: MemoryLine) -> UUID:
    assert line.new.id is not None  # as `read_memory` holds
    return line.new.id
