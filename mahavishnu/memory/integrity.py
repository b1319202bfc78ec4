"""
Look for what does not fit together in the database: rows that lead nowhere, indexes that are not used, dead rows.

Nothing is changed.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from mahavishnu.database.pool import Database, DriverConnection
from mahavishnu.database.queries import load_queries
from mahavishnu.database.vectors import VectorTable
from mahavishnu.memory.lexicon import count_terms

MOST_WORDLESS = 1_000
DEAD_ROWS, DEAD_SHARE = (
    10_000,
    0.2,
)  # PostgreSQL itself cleans up at this share, unless it is hindered
_QUERIES = load_queries("integrity")
_OWN = "r.scope_no IN (SELECT scope_no FROM scopes WHERE owner = current_user)"
_NO_MEMORY = "NOT EXISTS (SELECT FROM memories m WHERE m.id = r.{column})"
_NOT_LIVE = "NOT EXISTS (SELECT FROM memories m WHERE m.memory_no = r.memory_no AND m.superseded_by IS NULL)"
_DELETE = "DELETE FROM {table} r WHERE {condition}"

type Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Damage:
    """
    Something that does not fit: how often, the SQL that fixes or shows it, and of which memories it is.

    An `error` loses or hides something that was stored; a `warning` costs time or room.
    """

    name: str
    severity: Severity
    count: int
    summary: str
    statement: str = ""
    ids: tuple[UUID, ...] = ()


@dataclass(frozen=True)
class _Rows:
    """Own rows `r` of a table that should not be there: what they are, and the SQL that fixes them."""

    name: str
    table: str
    condition: str
    severity: Severity
    says: str
    fix: str = _DELETE


_ROWS = (
    _Rows("words", "postings", _NOT_LIVE, "warning", "words of memories that are gone or superseded are indexed"),
    _Rows("queue", "embedding_queue", _NOT_LIVE, "warning",
          "memories that are gone or superseded wait for vectors"),
    _Rows("turns", "agent_conversations", _NO_MEMORY.format(column="memory_id"), "error",
          "turns of conversations have lost their memory, and with it their text"),
    _Rows("executions", "workflow_executions", "r.memory_id IS NOT NULL AND " + _NO_MEMORY.format(column="memory_id"),
          "warning", "executions have lost their memory", "UPDATE {table} r SET memory_id = NULL WHERE {condition}"),
)  # fmt: skip
_SUCCESSORS = _Rows(
    "successors", "memories", "r.superseded_by IS NOT NULL AND " + _NO_MEMORY.format(column="superseded_by"),
    "warning", "memories were superseded by what is not there; no search finds them",
    "SELECT id, superseded_by FROM {table} r WHERE {condition}",
)  # fmt: skip


async def check_integrity(database: Database) -> tuple[list[Damage], bool]:
    """Return what was found among the caller's rows, and whether there may be rows of others."""
    async with database.snapshot() as connection:
        found = [each async for each in _look_at_rows(connection)]
        found += [each async for each in look_at_storage(connection)]
        return found, await connection.fetchval(_QUERIES["leaves_others_out"])


async def look_at_storage(connection: DriverConnection) -> AsyncIterator[Damage]:
    """Yield what is wrong with models, indexes and tables as a whole; reads no rows."""
    for row in await connection.fetch(_QUERIES["describe_models"]):
        table = VectorTable(row["model_no"], row["dimensions"])
        if not row["kept"] and row["active"]:
            yield Damage("model", "error", 1, f"The vectors of {row['name']} have no table.")
        elif row["kept"] and not row["indexed"]:
            statement = f"DROP INDEX IF EXISTS {table.name}_hnsw; {table.create_graph()}"
            yield Damage("model", "warning", 1, f"The vectors of {row['name']} have no graph that can be used; "
                         "searches compare all of them.", statement)  # fmt: skip
    for row in await connection.fetch(_QUERIES["invalid_indexes"]):
        yield Damage("index", "warning", 1, f"The index {row['name']} is not valid, and so not used.",
                     f"REINDEX INDEX {row['name']}")  # fmt: skip
    for row in await connection.fetch(_QUERIES["dead_rows"], DEAD_ROWS, DEAD_SHARE):
        yield Damage("bloat", "warning", row["dead"], f"{row['name']} has {row['dead']:,} dead rows beside "
                     f"{row['live']:,} live ones.", f"VACUUM (ANALYZE) {row['name']}")  # fmt: skip


async def _look_at_rows(connection: DriverConnection) -> AsyncIterator[Damage]:
    models = await connection.fetch(_QUERIES["describe_models"])
    kept = {row["model_no"]: row["active"] for row in models if row["kept"]}
    vectors = "".join(
        f" AND NOT EXISTS (SELECT FROM embeddings_{number} e WHERE e.memory_no = r.memory_no)"
        for number, active in kept.items()
        if active
    )
    rows = [
        *_ROWS,
        *(_Rows("vectors", f"embeddings_{number}", _NOT_LIVE, "warning",
                "vectors are of memories that are gone or superseded") for number in kept),
        _Rows("without_vectors", "memories",
              "r.superseded_by IS NULL AND (r.expires_at IS NULL OR r.expires_at > now()) "
              f"AND NOT EXISTS (SELECT FROM embedding_queue q WHERE q.memory_no = r.memory_no){vectors}",
              "error", "memories have no vectors and do not wait for any; no search by meaning finds them",
              # The change is for those who hold vectors in memory.
              "WITH queued AS (INSERT INTO embedding_queue (memory_no, scope_no) "
              "SELECT memory_no, scope_no FROM {table} r WHERE {condition} RETURNING memory_no) "
              "INSERT INTO changes (scope_no, memory_id, kind) "
              "SELECT m.scope_no, m.id, 'stored' FROM memories m JOIN queued USING (memory_no)"),
        _SUCCESSORS,
    ]  # fmt: skip
    for each in rows:
        condition = f"{_OWN} AND {each.condition}"
        count = await connection.fetchval(f"SELECT count(*) FROM {each.table} r WHERE {condition}")
        if count:
            statement = each.fix.format(table=each.table, condition=condition)
            yield Damage(each.name, each.severity, count, f"{count:,} {each.says}.", statement)
    wordless = await connection.fetch(_QUERIES["wordless"], MOST_WORDLESS)
    lost = tuple(row["id"] for row in wordless if count_terms(row["text"])[0])
    if lost:
        summary = f"{len(lost):,} memories are not in the text index."
        yield Damage("without_words", "error", len(lost), summary, ids=lost)
