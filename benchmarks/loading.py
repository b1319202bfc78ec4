"""Put a synthetic world into the product's tables: the first memory through the product, the rest by COPY."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import numpy as np
from pgvector import HalfVector

from benchmarks.floors import register_halfvec
from benchmarks.synthetic import World
from benchmarks.world import MODEL, connect_as_superuser
from mahavishnu.app import App
from mahavishnu.base.identifiers import new_id
from mahavishnu.database.vectors import VectorTable
from mahavishnu.memory.lexicon import count_terms
from mahavishnu.memory.models import BroughtVector, NewMemory
from mahavishnu.memory.scoping import Scopes

MEMORY_COLUMNS = (
    "id", "memory_no", "scope_no", "collection", "source_system", "source_key", "content",
    "content_hash", "occurred_at",
)  # fmt: skip
POSTING_COLUMNS = ("term", "memory_no", "scope_no", "frequency", "length")
VECTOR_COLUMNS = (
    "memory_no", "chunk_no", "scope_no", "collection", "char_start", "char_end", "embedding",
)  # fmt: skip
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
# Numbers that the product's own sequence does not reach.
FIRST_NUMBER = 1_000_000
FLOOR_NUMBER = 1_000_000_000

type Row = tuple[Any, ...]
type Rows = tuple[list[Row], list[Row], list[Row]]


def as_memories(
    texts: Sequence[str], vectors: np.ndarray, *, project: str | None = None
) -> list[NewMemory]:
    """Return what a caller with vectors of its own hands to the product."""
    return [
        NewMemory(
            content=text,
            project=project,
            source_system="bench",
            vector=BroughtVector(model=MODEL.name, values=vector.astype(float).tolist()),
        )
        for text, vector in zip(texts, vectors, strict=True)
    ]


def as_rows(
    news: Sequence[NewMemory], vectors: np.ndarray, scopes: Sequence[int], *, first: int
) -> Rows:
    """Return the rows of memories, postings and vectors as COPY takes them, numbered from `first`."""
    memories: list[Row] = []
    postings: list[Row] = []
    embeddings: list[Row] = []
    for offset, (new, vector, scope) in enumerate(zip(news, vectors, scopes, strict=True)):
        number = first + offset
        memories.append(
            (new_id(), number, scope, new.collection, new.source_system, new.source_key,
             new.content, new.content_hash, EPOCH + timedelta(seconds=offset))
        )  # fmt: skip
        counts, length = count_terms(new.indexed_text)
        postings += [(term, number, scope, count, length) for term, count in counts.items()]
        embeddings.append(
            (number, 0, scope, new.collection, 0, len(new.content), HalfVector(vector))
        )
    postings.sort()
    return memories, postings, embeddings


async def copy_rows(connection: asyncpg.Connection, table: VectorTable, rows: Rows) -> None:
    """Copy rows into the product's tables, in one transaction."""
    columns = (MEMORY_COLUMNS, POSTING_COLUMNS, VECTOR_COLUMNS)
    async with connection.transaction():
        for name, listed, records in zip(
            ("memories", "postings", table.name), columns, rows, strict=True
        ):
            await connection.copy_records_to_table(name, records=records, columns=list(listed))


async def load_world(app: App, world: World) -> VectorTable:
    """Store the whole world, the graph built at the end as after a restore; returns the table."""
    table = await app.space.claim()
    scopes = Scopes(app.database)
    places = {}
    for project, collection in sorted(set(zip(world.projects, world.collections, strict=True))):
        places[project, collection] = await scopes.place(
            NewMemory(content="-", project=project, collection=collection)  # type: ignore[arg-type]
        )
    news = [
        NewMemory(content=text, collection=collection, source_system="bench")  # type: ignore[arg-type]
        for text, collection in zip(world.texts, world.collections, strict=True)
    ]
    numbers = [places[key] for key in zip(world.projects, world.collections, strict=True)]
    connection = await connect_as_superuser(app.database)
    try:
        await register_halfvec(connection)
        index = f"{table.name}_hnsw"
        definition = await connection.fetchval("SELECT pg_get_indexdef($1::regclass)", index)
        await connection.execute(f"DROP INDEX {index}")
        await copy_rows(
            connection, table, as_rows(news, world.vectors, numbers, first=FIRST_NUMBER)
        )
        await connection.execute("SET maintenance_work_mem = '1GB'")
        # "ON ONLY" would leave the partitions without their graphs.
        await connection.execute(definition.replace("ON ONLY ", "ON "))
        await connection.execute("VACUUM (ANALYZE)")
        await connection.execute("CHECKPOINT")
    finally:
        await connection.close()
    return table
