"""A checksum of every table that does not depend on the order of its rows; the server computes it."""

from collections.abc import Sequence
from decimal import Decimal

from mahavishnu.database.backup.manifest import Table
from mahavishnu.database.pool import DriverConnection
from mahavishnu.database.queries import load_queries

_QUERIES = load_queries("backup")
_WORD = 1 << 64
# The text forms of some values depend on these.
_SETTINGS = "SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; SET extra_float_digits = 1"


async def checksum_tables(connection: DriverConnection) -> tuple[Table, ...]:
    """
    Return every table with the number and the checksum of its rows, as the caller's snapshot has them.

    The catalogue lists the tables, so a table that a later release adds is covered. Bounded memory.
    """
    await connection.execute(_SETTINGS)
    found = await connection.fetch(_QUERIES["find_tables"])
    return tuple([await _checksum(connection, row["name"], row["columns"]) for row in found])


async def read_structure(connection: DriverConnection) -> tuple[str, ...]:
    """Return what the database consists of besides rows, as lines."""
    return tuple(row["line"] for row in await connection.fetch(_QUERIES["find_structure"]))


async def _checksum(connection: DriverConnection, name: str, columns: str | None) -> Table:
    # The server quoted the names. OFFSET 0 keeps the hash from being computed for each of its halves.
    row = await connection.fetchrow(
        f"""
        SELECT count(*) AS rows, sum(('x' || left(h, 16))::bit(64)::bigint) AS high,
               sum(('x' || substr(h, 17, 16))::bit(64)::bigint) AS low
        FROM (SELECT encode(sha256(record_send(ROW({columns or ""}))), 'hex') AS h FROM {name} OFFSET 0) AS hashed
        """,
        timeout=None,
    )
    assert row is not None
    words = [int(row[half] or Decimal()) % _WORD for half in ("high", "low")]
    return Table(name, row["rows"], "".join(f"{word:016x}" for word in words))


def table_differences(expected: Sequence[Table], found: Sequence[Table]) -> list[str]:
    """Say in words how tables differ from those of the manifest; empty where they do not."""
    others = {table.name: table for table in found}
    differences = []
    for table in expected:
        other = others.pop(table.name, None)
        if other is None:
            differences.append(f"{table.name} is missing")
        elif other.rows != table.rows:
            differences.append(f"{table.name} has {other.rows} rows instead of {table.rows}")
        elif other.checksum != table.checksum:
            differences.append(f"{table.name} has other rows")
    return differences + [f"{name} is not in the manifest" for name in others]


def structure_differences(expected: Sequence[str], found: Sequence[str]) -> list[str]:
    """Say in words how indexes, policies and the like differ from those of the manifest."""
    before, after = set(expected), set(found)
    missing = [f"missing: {line}" for line in sorted(before - after)]
    return missing + [f"not in the manifest: {line}" for line in sorted(after - before)]
