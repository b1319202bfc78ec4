"""What superseding does to rows: the old one stays, and leaves both indexes and the queue."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from mahavishnu.base.errors import Conflict, Forbidden
from mahavishnu.database.pool import Connection
from mahavishnu.database.vectors import VectorTable
from mahavishnu.memory.duplicates import MemoryIdentity
from mahavishnu.memory.models import COLUMNS, Memory, NewMemory
from mahavishnu.memory.statements import load_memory_queries

_QUERIES = load_memory_queries("memories")


async def check_replaceable(connection: Connection, old: Memory) -> None:
    """
    Refuse a memory that nothing can take the place of.

    Raises:
        Forbidden: it is not the caller's own.
        Conflict: it has been superseded, or has expired.
    """
    state = await connection.fetchrow(_QUERIES["find_state"], old.id)
    if state is None or not state["own"]:
        raise _not_own()
    if state["superseded_by"] is not None:
        raise Conflict(
            "This memory has already been superseded.",
            hint=f"Supersede its successor instead: {state['superseded_by']}",
            code="memory.superseded",
        )
    if state["expired"]:
        raise Conflict(
            "This memory has expired.",
            hint="Store the text as a new memory.",
            code="memory.expired",
        )


def make_successor(
    old: Memory, content: str, *, metadata: Mapping[str, Any] | None, context: str | None
) -> NewMemory:
    """Return what takes the place of `old`: the same but for its text, and what else is given."""
    kept = {name: getattr(old, name) for name in COLUMNS} | {"content": content}
    del kept["occurred_at"]
    if metadata is not None:
        kept["metadata"] = metadata
    if context is not None:
        kept["context"] = context
    return NewMemory(**kept, project=old.project, visibility=old.visibility)  # type: ignore[arg-type]


async def put_in_place(
    connection: Connection, old_id: UUID, successor: MemoryIdentity, table: VectorTable | None
) -> UUID | None:
    """
    Make the live memory with the identity the successor of `old_id`; done before, it is left so.

    Belongs into the transaction that inserted it. Returns the successor's id; None, and nothing was
    done, where no live memory has the identity: an expired one was in the way, or another writer.

    Raises:
        Forbidden: one of the two is not the caller's own.
        Conflict: another writer superseded one of them meanwhile.
    """
    found = await connection.fetch(_QUERIES["find_stored"], *([part] for part in successor))
    if not found:
        return None
    new_id: UUID = found[0]["id"]
    # Both rows, in one order: of two that supersede each other one must lose.
    states = await connection.fetch(_QUERIES["lock_pair"], [old_id, new_id])
    after = {row["id"]: row["superseded_by"] for row in states}
    if len(after) < 2:
        raise _not_own()
    if after[old_id] == new_id:  # done before; the answer was lost
        return new_id
    if after[old_id] is not None or after[new_id] is not None:
        raise Conflict(
            "One of the two memories has been superseded meanwhile.",
            hint="Look at both again: mahavishnu memory show ID",
            code="memory.superseded",
        )
    number = await connection.fetchval(_QUERIES["mark_superseded"], old_id, new_id)
    await leave_indexes(connection, [number], table)
    return new_id


async def lock_scopes(connection: Connection, scopes: Sequence[int]) -> None:
    """Let one transaction at a time decide which memory of a source key is the live one."""
    await connection.execute(_QUERIES["lock_scopes"], sorted(set(scopes)))


async def retire_others(
    connection: Connection, kept: Sequence[MemoryIdentity], table: VectorTable | None
) -> None:
    """Supersede the live memories that share scope and source key with one of those kept."""
    columns = (list(column) for column in zip(*kept, strict=True))
    rows = await connection.fetch(_QUERIES["supersede_others"], *columns)
    if rows:
        await leave_indexes(connection, [row["memory_no"] for row in rows], table)


async def leave_indexes(
    connection: Connection, numbers: Sequence[int], table: VectorTable | None
) -> None:
    """Take superseded memories out of both indexes and the queue."""
    await connection.execute(_QUERIES["drop_postings"], numbers)
    await connection.execute(_QUERIES["drop_from_queue"], numbers)
    if table is not None:
        await connection.execute(table.drop_rows(), numbers)


def _not_own() -> Forbidden:
    return Forbidden(
        "Only its owner can supersede a memory.",
        hint="Store what you know as a memory of your own.",
        code="memory.not_own",
    )
