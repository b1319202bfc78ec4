"""What superseding does to rows: the old one stays, and leaves both indexes and the queue."""

from collections.abc import Sequence
from uuid import UUID

from mahavishnu.database.pool import Connection
from mahavishnu.database.queries import load_queries
from mahavishnu.database.vectors import VectorTable
from mahavishnu.errors import Conflict, Forbidden

_QUERIES = load_queries("memories")

# Of a live memory: scope, source key, content hash.
type Identity = tuple[int, str, bytes]


async def put_in_place(
    connection: Connection, old_id: UUID, successor: Identity, table: VectorTable | None
) -> UUID:
    """
    Make the live memory with the identity the successor of `old_id`; done before, it is left so.

    Belongs into the transaction that inserted it. Returns the successor's id.

    Raises:
        Forbidden: one of the two is not the caller's own.
        Conflict: another writer superseded one of them meanwhile.
    """
    found = await connection.fetch(_QUERIES["find_stored"], *([part] for part in successor))
    if not found:
        raise Conflict(
            "Another writer changed the same memories; try again.", code="memory.superseded"
        )
    new_id: UUID = found[0]["id"]
    # Both rows, in one order: of two that supersede each other one must lose.
    states = await connection.fetch(_QUERIES["lock_pair"], [old_id, new_id])
    after = {row["id"]: row["superseded_by"] for row in states}
    if len(after) < 2:
        raise Forbidden("Only its owner can supersede a memory.", code="memory.not_own")
    if after[old_id] == new_id:  # done before; the answer was lost
        return new_id
    if after[old_id] is not None or after[new_id] is not None:
        raise Conflict(
            "One of the two memories has been superseded meanwhile.", code="memory.superseded"
        )
    number = await connection.fetchval(_QUERIES["mark_superseded"], old_id, new_id)
    await _leave_indexes(connection, [number], table)
    return new_id


async def lock_scopes(connection: Connection, scopes: Sequence[int]) -> None:
    """Let one transaction at a time decide which memory of a source key is the live one."""
    await connection.execute(_QUERIES["lock_scopes"], sorted(set(scopes)))


async def retire_others(
    connection: Connection, kept: Sequence[Identity], table: VectorTable | None
) -> None:
    """Supersede the live memories that share scope and source key with one of those kept."""
    columns = (list(column) for column in zip(*kept, strict=True))
    rows = await connection.fetch(_QUERIES["supersede_others"], *columns)
    if rows:
        await _leave_indexes(connection, [row["memory_no"] for row in rows], table)


async def _leave_indexes(
    connection: Connection, numbers: Sequence[int], table: VectorTable | None
) -> None:
    await connection.execute(_QUERIES["drop_postings"], numbers)
    await connection.execute(_QUERIES["drop_from_queue"], numbers)
    if table is not None:
        await connection.execute(table.drop_rows(), numbers)
