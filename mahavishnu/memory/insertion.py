"""
Memories go in with their postings and vectors, by one statement; vectors that wait follow later.

Few rows travel as arrays in one round trip; many are copied into temporary tables first, because
COPY goes faster but PostgreSQL refuses it on tables with row-level security.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from operator import attrgetter
from typing import Any
from uuid import UUID

from pgvector import HalfVector

from mahavishnu.base.logs import get_logger
from mahavishnu.database.pool import Connection
from mahavishnu.database.queries import name_statement
from mahavishnu.database.vectors import VectorTable
from mahavishnu.embedding.documents import EmbeddedChunk
from mahavishnu.memory.lexicon import count_terms
from mahavishnu.memory.models import COLUMNS, NewMemory
from mahavishnu.memory.space import EmbeddingSpace
from mahavishnu.memory.statements import load_memory_queries

COPY_FROM = 64  # rows; below, the temporary tables cost more than they save

_QUERIES = load_memory_queries("memories")
_log = get_logger(__name__)
_TYPES = {"metadata": "jsonb", "occurred_at": "timestamptz", "expires_at": "timestamptz"}
_MEMORY_COLUMNS = {
    "ord": "integer",
    "id": "uuid",
    "scope_no": "integer",
    "content_hash": "bytea",
    **{name: _TYPES.get(name, "text") for name in COLUMNS},
    "stored_at": "timestamptz",
    "superseded_by": "uuid",
}
_values_of = attrgetter("content_hash", *COLUMNS)
_POSTING_COLUMNS = {
    "ord": "integer",
    "term": "text",
    "frequency": "smallint",
    "length": "smallint",
}
_VECTOR_COLUMNS = {
    "ord": "integer",
    "chunk_no": "integer",
    "char_start": "integer",
    "char_end": "integer",
    "embedding": "halfvec",
}


@dataclass
class Batch:
    """Rows on their way in; `ord` ties the three kinds together."""

    memories: list[tuple[Any, ...]] = field(default_factory=list)
    postings: list[tuple[int, str, int, int]] = field(default_factory=list)
    vectors: list[tuple[int, int, int, int, HalfVector]] = field(default_factory=list)


def build_batch(
    placed: Sequence[tuple[NewMemory, int]],
    vectors: Sequence[Sequence[EmbeddedChunk]],
    past: Sequence[tuple[datetime, UUID | None]] = (),
) -> Batch:
    """
    Return the rows of memories with their scopes and chunks.

    `past` says of each when it was stored and what superseded it; without it they are new.
    """
    batch = Batch()
    for number, ((new, scope), chunks) in enumerate(zip(placed, vectors, strict=True)):
        stored_at, superseded_by = past[number] if past else (None, None)
        batch.memories.append((number, new.id, scope, *_values_of(new), stored_at, superseded_by))
        if superseded_by is not None:
            continue
        counts, length = count_terms(new.indexed_text)
        batch.postings += [(number, term, count, length) for term, count in counts.items()]
        batch.vectors += [
            (number, place, chunk.start, chunk.end, HalfVector(chunk.vector))
            for place, chunk in enumerate(chunks)
        ]
    return batch


async def insert_batch(
    connection: Connection, batch: Batch, table: VectorTable | None
) -> set[UUID]:
    """
    Insert what is new, in one transaction; live rows without vectors are queued for embedding.

    Returns:
        The ids that were inserted. The others collide with a live memory of the same identity, or
        with their own id.
    """
    if len(batch.memories) < COPY_FROM:
        statement, arrays = insertion(batch, table)
        rows = await connection.fetch(statement, *arrays)
    else:
        async with connection.transaction():
            await _stage(connection, batch, table)
            rows = await connection.fetch(_statement(table, staged=True))
    return {row["id"] for row in rows}


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
        await connection.execute(table.add_rows(), *_columns(vectors, 7))
        await connection.execute(_QUERIES["drop_from_queue"], done)
        return len(done)


def insertion(batch: Batch, table: VectorTable | None) -> tuple[str, list[list[Any]]]:
    """Return the statement that inserts a small batch, and its parameters."""
    arrays = [
        *_columns(batch.memories, len(_MEMORY_COLUMNS)),
        *_columns(batch.postings, len(_POSTING_COLUMNS)),
    ]
    if table is not None:
        arrays += _columns(batch.vectors, len(_VECTOR_COLUMNS))
    return _statement(table, staged=False), arrays


async def _stage(connection: Connection, batch: Batch, table: VectorTable | None) -> None:
    staged: list[tuple[str, dict[str, str], Sequence[tuple[Any, ...]]]] = [
        ("staged_incoming", _MEMORY_COLUMNS, batch.memories),
        ("staged_terms", _POSTING_COLUMNS, batch.postings),
    ]
    if table is not None:
        staged.append(("staged_vectors", _VECTOR_COLUMNS, batch.vectors))
    for name, columns, _ in staged:
        listed = ", ".join(f"{column} {kind}" for column, kind in columns.items())
        await connection.execute(f"CREATE TEMPORARY TABLE {name} ({listed}) ON COMMIT DROP")
    for name, columns, records in staged:
        await connection.copy_records_to_table(name, records=records, columns=list(columns))


def _columns(rows: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[]] * width


def _source(name: str, columns: dict[str, str], first: int, *, staged: bool) -> str:
    if staged:
        return f"staged_{name} AS {name}"
    arrays = ", ".join(f"${first + i}::{kind}[]" for i, kind in enumerate(columns.values()))
    return f"unnest({arrays}) AS {name} ({', '.join(columns)})"


@cache
def _statement(table: VectorTable | None, *, staged: bool) -> str:
    """Return the insertion; only the validated table name and fixed column names are put in."""
    incoming = _source("incoming", _MEMORY_COLUMNS, 1, staged=staged)
    first = 1 + len(_MEMORY_COLUMNS)
    terms = _source("terms", _POSTING_COLUMNS, first, staged=staged)
    first += len(_POSTING_COLUMNS)
    own = ", ".join(column for column in _MEMORY_COLUMNS if column != "ord")
    values = own.replace("stored_at", "coalesce(stored_at, now())")
    embedded = ""
    waiting = "SELECT memory_no, scope_no FROM numbered"
    if table is not None:
        vectors = _source("vectors", _VECTOR_COLUMNS, first, staged=staged)
        embedded = f""", vectors AS MATERIALIZED (SELECT * FROM {vectors}
        ), embedded AS (
            INSERT INTO {table.name} (memory_no, chunk_no, scope_no, collection, char_start, char_end, embedding)
            SELECT numbered.memory_no, v.chunk_no, numbered.scope_no, numbered.collection,
                   v.char_start, v.char_end, v.embedding
            FROM vectors v JOIN numbered USING (ord)
        )"""
        waiting = (
            "SELECT memory_no, scope_no FROM numbered WHERE ord NOT IN (SELECT ord FROM vectors)"
        )
    statement = f"""
        WITH input AS MATERIALIZED (SELECT * FROM {incoming}
        ), added AS (
            INSERT INTO memories ({own}) SELECT {values} FROM input ORDER BY ord
            ON CONFLICT DO NOTHING RETURNING id, memory_no, scope_no, collection, superseded_by
        ), numbered AS MATERIALIZED (
            SELECT input.ord, added.* FROM added JOIN input USING (id)
            WHERE added.superseded_by IS NULL
        ), indexed AS (
            INSERT INTO postings (term, memory_no, scope_no, frequency, length)
            SELECT terms.term, numbered.memory_no, numbered.scope_no, terms.frequency, terms.length
            FROM {terms} JOIN numbered USING (ord) ORDER BY terms.term, numbered.memory_no
        ){embedded}, queued AS (
            INSERT INTO embedding_queue (memory_no, scope_no) {waiting}
        )
        SELECT id FROM added
    """
    return name_statement("insert_memories", statement)
