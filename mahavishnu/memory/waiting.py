"""The queue of memories that wait for their vectors, worked off."""

from pgvector import HalfVector

from mahavishnu.base.logs import get_logger
from mahavishnu.database.pool import Connection
from mahavishnu.database.vectors import VectorTable
from mahavishnu.memory.space import EmbeddingSpace
from mahavishnu.memory.statements import load_memory_queries

_QUERIES = load_memory_queries("memories")
_log = get_logger(__name__)


async def give_vectors(
    connection: Connection, space: EmbeddingSpace, table: VectorTable, limit: int
) -> int:
    """
    Embed up to `limit` of the caller's waiting memories, in one transaction; returns how many.

    Those whose text the model cannot embed go behind the others.
    """
    async with connection.transaction():
        rows = await connection.fetch(_QUERIES["take_waiting"], limit)
        if not rows:
            return 0
        embedded = await space.embed_each([row["text"] for row in rows])
        done = [r["memory_no"] for r, c in zip(rows, embedded, strict=True) if c]
        failed = [r["memory_no"] for r, c in zip(rows, embedded, strict=True) if not c]
        if failed:
            _log.warning("embedding_failed", memory_numbers=failed)
            await connection.execute(_QUERIES["put_behind"], failed)
        vectors = [
            (row["memory_no"], number, row["scope_no"], row["collection"],
             chunk.start, chunk.end, HalfVector(chunk.vector))
            for row, chunks in zip(rows, embedded, strict=True)
            for number, chunk in enumerate(chunks)
        ]  # fmt: skip
        columns = [list(column) for column in zip(*vectors, strict=True)] or [[]] * 7
        await connection.execute(table.add_rows(), *columns)
        await connection.execute(_QUERIES["drop_from_queue"], done)
        return len(done)
