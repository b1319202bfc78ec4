"""The two arms of a search: candidates by their words, and by their vectors."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from mahavishnu.database.pool import Connection
from mahavishnu.database.vectors import IN_COLLECTIONS, OF_MEMORIES, VectorTable
from mahavishnu.memory.models import MemoryFilter, VectorLike
from mahavishnu.memory.ranking import BM25_B, BM25_K1, MIXED_LENGTH, WEIGHTS
from mahavishnu.memory.selection import Selection
from mahavishnu.memory.statements import load_memory_queries, passes

TERM_CAP = 8_192  # postings read of one term
# Candidates asked of a graph that holds more than what is searched. With 100, questions far from the
# selection were measured to find .87 to .93 of what exact search finds, with 400 .97 to .99 and with
# 600 .985 to .99 (100,000 memories, filters of 29 to 48 %).
NARROWED_DEPTH = 500
WIDENING = 4  # times as many chunks, where too few memories were among them
NO_FILTER = MemoryFilter().fine_parameters

_SEARCH = load_memory_queries("search")

# How vectors were compared: all, or those that a graph led to; in PostgreSQL, or in the memory of a server.
type Comparison = Literal["exact", "hnsw", "exact in memory", "hnsw in memory"]


class TextHit(msgspec.Struct, frozen=True):
    """A memory that shares words with the question; `score` is BM25."""

    scope_no: int
    score: float


class VectorHit(msgspec.Struct, frozen=True):
    """A memory's best chunk: cosine, and which characters of the indexed text it is."""

    scope_no: int
    similarity: float
    char_start: int
    char_end: int


class Matched(NamedTuple):
    """
    Memories whose vectors are near, by number, and how they were found.

    `as_of` is a transaction: what was stored from it on was not compared; None where all were.
    """

    hits: dict[int, VectorHit]
    compared: Comparison
    as_of: int | None = None


# As `match_vectors`.
type MatchVectors = Callable[..., Awaitable[Matched]]


async def match_text(
    connection: Connection, terms: Sequence[str], selection: Selection, depth: int
) -> dict[int, TextHit]:
    """Return the best `depth` memories by BM25, by number."""
    if not terms:
        return {}
    collections = set(selection.scopes.values())
    usual = WEIGHTS[collections.pop()].usual_length if len(collections) == 1 else MIXED_LENGTH
    rows = await connection.fetch(
        _SEARCH["match_terms"], terms, list(selection.scopes), TERM_CAP, float(selection.size),
        BM25_K1, BM25_B, usual, depth, selection.numbers, selection.wide is not None,
        *(selection.wide or NO_FILTER),
    )  # fmt: skip
    return {row["memory_no"]: TextHit(row["scope_no"], row["score"]) for row in rows}


async def match_vectors(
    connection: Connection,
    table: VectorTable,
    vector: VectorLike,
    selection: Selection,
    depth: int,
    *,
    at_least: int,
    to_the_last: bool = True,  # noqa: ARG001 - what else finds vectors may leave out the last ones
) -> Matched:
    """
    Return the memories of the nearest `depth` chunks, or the `at_least` nearest of more.

    A graph that gives less than it was asked for
    came to the end of its patience among vectors that are not searched: then all are compared.
    """
    exact = selection.exact
    if selection.narrowed and not exact:
        depth = max(depth, NARROWED_DEPTH)
    hits: dict[int, VectorHit] = {}
    while True:
        statement, arguments = _vector_search(table, selection, exact=exact)
        rows = await connection.fetch(statement, vector, depth, *arguments)
        for number, scope, start, end, similarity in rows:  # of a memory's chunks the best counts
            best = hits.get(number)
            if best is None or similarity > best.similarity:
                hits[number] = VectorHit(scope, similarity, start, end)
        if len(rows) < depth:
            if exact:
                return Matched(hits, "exact")
            exact = True
        elif len(hits) >= at_least:
            return Matched(hits, "exact" if exact else "hnsw")
        else:  # a few long memories filled the list with their chunks
            depth *= WIDENING


async def measure_similarities(
    connection: Connection, table: VectorTable, vector: VectorLike, numbers: Sequence[int]
) -> dict[int, float]:
    """Return the cosine of given memories, of those that have a vector."""
    if not numbers:
        return {}
    rows = await connection.fetch(table.similarities(), vector, numbers)
    return {row["memory_no"]: row["similarity"] for row in rows}


def _vector_search(
    table: VectorTable, selection: Selection, *, exact: bool
) -> tuple[str, list[Any]]:
    """Return the statement for a selection, and its parameters from $3 on."""
    scopes = list(selection.scopes)
    if selection.numbers is not None:
        return table.nearest(OF_MEMORIES, exact=True), [selection.numbers]
    if selection.wide is not None:
        return table.nearest_filtered(passes(4), exact=exact), [scopes, *selection.wide]
    if selection.collections and not exact:
        return table.nearest(IN_COLLECTIONS), [scopes, list(selection.collections)]
    return table.nearest(exact=exact), [scopes]
