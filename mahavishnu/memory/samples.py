"""Searches that show whether a restored database finds its memories: sampled ones, by words and by vectors."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from mahavishnu.base.errors import Corrupt
from mahavishnu.database.pool import Database
from mahavishnu.database.queries import load_queries
from mahavishnu.database.target import Target
from mahavishnu.embedding.choose import Choice
from mahavishnu.embedding.port import ModelIdentity
from mahavishnu.memory.lexicon import split_query
from mahavishnu.memory.models import BroughtVector, Hit
from mahavishnu.memory.scoping import Scopes
from mahavishnu.memory.search import Retriever, SearchRequest
from mahavishnu.memory.space import EmbeddingSpace
from mahavishnu.memory.tiers import open_tiers

SAMPLES = 5
DEPTH = 20
QUERY_CHARACTERS = 300
_STATEMENT_TIMEOUT = timedelta(minutes=5)
_QUERIES = load_queries("backup")


async def search_samples(target: Target) -> tuple[int, int]:
    """
    Search for sampled memories by their own words, and by their own vectors; returns how many of each.

    Raises:
        Corrupt: `backup.search_failed`, where a memory is not among the hits.
    """
    async with Database(target, size=1, statement_timeout=_STATEMENT_TIMEOUT) as database:
        space = EmbeddingSpace(database, _no_embedder)
        retriever = Retriever(open_tiers(database, space, Scopes(database)))
        texts = vectors = 0
        for row in await database.run(lambda c: c.fetch(_QUERIES["sample_texts"], SAMPLES)):
            question = row["content"][:QUERY_CHARACTERS]
            if split_query(question):
                texts += 1
                asked = SearchRequest(query=question, mode="text", limit=DEPTH)
                _require_found(row, (await retriever.search(asked)).hits, "words")
        active = await space.active()
        if active is None:
            return texts, 0
        table, identity = active
        for row in await database.run(lambda c: c.fetch(table.spread_samples(), SAMPLES)):
            vectors += 1
            brought = BroughtVector(model=identity.name, values=row["embedding"].to_list())
            asked = SearchRequest(
                query=row["content"][:QUERY_CHARACTERS], mode="vector", limit=DEPTH, vector=brought
            )
            _require_found(row, (await retriever.search(asked)).hits, "vector")
    return texts, vectors


async def _no_embedder(_expected: ModelIdentity | None) -> Choice:
    return Choice(None, "These searches bring their vectors.")


def _require_found(row: Any, hits: Sequence[Hit], by: str) -> None:
    """Raise `Corrupt` unless a memory, or one with the same text, is among the hits."""
    if not any(hit.memory.id == row["id"] or hit.memory.content == row["content"] for hit in hits):
        raise Corrupt(
            f"A restored memory is not found by its own {by}.",
            hint="The rows are those of the backup, and their index is not: make a new backup, and report this.",
            code="backup.search_failed",
        )
