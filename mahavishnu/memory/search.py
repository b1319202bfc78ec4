"""Answer a question from what is stored: two arms, fused, with everything that was missing named."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mahavishnu.database.pool import Connection, Database
from mahavishnu.database.queries import load_queries
from mahavishnu.database.vectors import VectorTable
from mahavishnu.errors import MahavishnuError, Unavailable, UsageError
from mahavishnu.memory.budget import within_budget
from mahavishnu.memory.lexicon import split_query
from mahavishnu.memory.models import (
    MAX_LIMIT,
    MAX_QUERY_CHARACTERS,
    MEMORY_TYPES,
    MODES,
    Collection,
    Degraded,
    Hit,
    Memory,
    MemoryFilter,
    Mode,
    SearchResult,
    Vector,
    check_text,
    unknown_value,
)
from mahavishnu.memory.ranking import (
    BM25_B,
    BM25_K1,
    MIXED_LENGTH,
    WEIGHTS,
    Ranked,
    fuse,
)
from mahavishnu.memory.scoping import Scopes
from mahavishnu.memory.space import EmbeddingSpace
from mahavishnu.memory.store import read_memory

EXACT_UP_TO = 20_000  # memories that are compared one by one; beyond, the HNSW graph is walked
TERM_CAP = 8_192  # postings read of one term
DEPTH = 100  # candidates of each arm, at least
PURGE_EVERY_S = 60.0
COUNT_TTL_S = 10.0  # how long the size of a large selection is believed

EVERYTHING = MemoryFilter()
TIERS = ("hot", "cold", "development")
_SEARCH = load_queries("search")
_MEMORIES = load_queries("memories")


@dataclass(frozen=True, kw_only=True)
class SearchRequest:
    """
    A question and its bounds.

    `threshold` is the least cosine similarity of a vector-arm hit. `max_tokens` bounds the contents
    together. `tiers` names where to look; only "cold" (PostgreSQL) is there so far.
    """

    query: str
    mode: Mode = "hybrid"
    wanted: MemoryFilter = EVERYTHING
    limit: int = 10
    threshold: float | None = None
    max_tokens: int | None = None
    tiers: tuple[str, ...] = ("cold",)


@dataclass(frozen=True)
class _Selection:
    """
    What is searched: scopes and how many memories they hold, counted to the cap.

    A fine filter gives the `numbers` of the memories that pass it or, where those are too many, its
    parameters as `wide`. `collections` are named where the filter named them, for the planner.
    """

    scopes: Mapping[int, Collection]
    size: int
    numbers: list[int] | None = None
    wide: tuple[Any, ...] | None = None
    collections: tuple[str, ...] = ()

    @property
    def exact(self) -> bool:
        return self.numbers is not None or self.size <= EXACT_UP_TO


@dataclass(frozen=True)
class _VectorHit:
    similarity: float
    char_start: int
    char_end: int


class Retriever:
    """Searches the memories that the caller may see."""

    def __init__(self, database: Database, space: EmbeddingSpace, scopes: Scopes) -> None:
        self._database = database
        self._space = space
        self._scopes = scopes
        self._large: dict[tuple[int, ...], float] = {}
        self._purge_at = 0.0
        self._expired_left = False  # others' shared ones, which are theirs to delete

    async def search(self, request: SearchRequest) -> SearchResult:
        """
        Return the best memories for a question.

        Raises:
            UsageError: empty question, limit out of range, unknown mode or tier.
            NotFound: a project of the filter is not there.
            Unavailable: the vector arm alone was asked for and there is no embedder.
        """
        check_request(request)
        started = time.perf_counter()
        degraded = [
            Degraded(part=f"tier:{tier}", reason="This tier is not there in this release.")
            for tier in request.tiers
            if tier != "cold"
        ]
        if "cold" not in request.tiers:
            return _nothing(request, degraded)
        vector, reason = await self._embed(request)
        if reason is not None:
            degraded.append(reason)
        table = None
        if vector is not None:
            active = await self._space.active()
            table = active[0] if active else None
        await self._purge_expired()
        selection = await self._select(request.wanted)
        if not selection.scopes:
            return _nothing(request, degraded)
        depth = max(DEPTH, 2 * request.limit)
        terms = split_query(request.query) if request.mode != "vector" else []
        if not terms and request.mode != "vector":
            degraded.append(
                Degraded(part="text", reason="The question has no word that is indexed.")
            )

        async def find(connection: Connection) -> tuple[list[Ranked], dict[int, _VectorHit]]:
            text, text_scopes = await _match_text(connection, terms, selection, depth)
            vectors: dict[int, _VectorHit] = {}
            vector_scopes: dict[int, int] = {}
            if vector is not None and table is not None:
                vectors, vector_scopes = await _match_vectors(
                    connection, table, vector, selection, depth
                )
            if request.threshold is not None:
                vectors = {n: h for n, h in vectors.items() if h.similarity >= request.threshold}
            similarities = {number: hit.similarity for number, hit in vectors.items()}
            missing = [number for number in text if number not in similarities]
            if missing and table is not None and vector is not None and request.mode == "hybrid":
                rows = await connection.fetch(table.similarities(), vector, missing)
                similarities |= {row["memory_no"]: row["similarity"] for row in rows}
            ranked = fuse(
                text,
                similarities,
                collections={
                    number: selection.scopes[scope]
                    for number, scope in (text_scopes | vector_scopes).items()
                },
                vector_candidates=frozenset(vectors),
            )
            return ranked, vectors

        ranked, vectors = await self._database.run(find)
        hits = await self._read(ranked, vectors, request)
        if table is not None and request.mode != "text":
            waiting = await self._waiting()
            if waiting:
                degraded.append(waiting)
        return SearchResult(
            query=request.query,
            mode=request.mode,
            hits=hits,
            degraded=tuple(degraded),
            explanation={
                "terms": terms,
                "candidates": len(ranked),
                "searched": selection.size if selection.size <= EXACT_UP_TO else f">{EXACT_UP_TO}",
                "vector_search": ("exact" if selection.exact else "hnsw") if table else None,
                "model": await self._model_name() if table else None,
                "elapsed_ms": round((time.perf_counter() - started) * 1000, 2),
            },
        )

    async def _purge_expired(self) -> None:
        """Now and then take what has expired out of the indexes, where it would crowd out the rest."""
        now = time.monotonic()
        if now >= self._purge_at:
            self._purge_at = now + PURGE_EVERY_S
            self._expired_left = await self._database.run(
                lambda c: c.fetchval(_MEMORIES["purge_expired"])
            )

    async def _embed(self, request: SearchRequest) -> tuple[Vector | None, Degraded | None]:
        if request.mode == "text":
            return None, None
        try:
            return await self._space.embed_query(request.query), None
        except MahavishnuError as error:
            if request.mode == "vector":
                if isinstance(error, UsageError):
                    raise
                raise Unavailable(error.message, hint=error.hint, code=error.code) from error
            return None, Degraded(part="vector", reason=f"{error.message} Only words were matched.")

    async def _select(self, wanted: MemoryFilter) -> _Selection:
        scopes = await self._scopes.visible(wanted)
        listed = sorted(scopes)
        if (wanted.is_fine or self._expired_left) and scopes:
            rows = await self._database.run(
                lambda c: c.fetch(
                    _MEMORIES["select_matching"],
                    listed,
                    *wanted.fine_parameters,
                    EXACT_UP_TO + 1,
                )
            )
            numbers = [row["memory_no"] for row in rows]
            if len(numbers) <= EXACT_UP_TO:
                return _Selection(scopes, len(numbers), numbers=numbers)
            return _Selection(scopes, len(numbers), wide=wanted.fine_parameters)
        size = await self._size(tuple(listed)) if scopes else 0
        return _Selection(scopes, size, collections=wanted.wanted_collections)

    async def _size(self, scopes: tuple[int, ...]) -> int:
        """Count the selection, believing for a while that a large one stays large."""
        now = time.monotonic()
        if self._large.get(scopes, 0.0) > now:
            return EXACT_UP_TO + 1
        size = await self._scopes.count(scopes, cap=EXACT_UP_TO + 1)
        if size > EXACT_UP_TO:
            self._large[scopes] = now + COUNT_TTL_S
        return size

    async def _read(
        self,
        ranked: Sequence[Ranked],
        vectors: Mapping[int, _VectorHit],
        request: SearchRequest,
    ) -> tuple[Hit, ...]:
        """Fetch the best candidates; those that died meanwhile are passed over."""
        hits: list[Hit] = []
        position = 0
        while len(hits) < request.limit and position < len(ranked):
            page = ranked[position : position + request.limit - len(hits) + 2]
            position += len(page)
            numbers = [candidate.memory_no for candidate in page]
            rows = await self._database.run(
                lambda c, wanted=numbers: c.fetch(_MEMORIES["fetch_by_numbers"], wanted)  # type: ignore[misc]
            )
            found = {row["memory_no"]: read_memory(row) for row in rows}
            hits += [
                _hit(candidate, found[candidate.memory_no], vectors.get(candidate.memory_no))
                for candidate in page
                if candidate.memory_no in found
            ]
        return within_budget(hits[: request.limit], request.max_tokens)

    async def _waiting(self) -> Degraded | None:
        count: int = await self._database.run(
            lambda c: c.fetchval(_MEMORIES["count_waiting"], 1000)
        )
        if not count:
            return None
        shown = f"{count}" if count < 1000 else "1000 or more"
        return Degraded(
            part="vector",
            reason=f"{shown} memories wait for their vectors; run: mahavishnu memory embed",
        )

    async def _model_name(self) -> str | None:
        active = await self._space.active()
        return active[1].name if active else None


async def _match_text(
    connection: Connection, terms: Sequence[str], selection: _Selection, depth: int
) -> tuple[dict[int, float], dict[int, int]]:
    if not terms:
        return {}, {}
    collections = set(selection.scopes.values())
    usual = WEIGHTS[collections.pop()].usual_length if len(collections) == 1 else MIXED_LENGTH
    parameters: list[Any] = [
        terms, list(selection.scopes), TERM_CAP, float(selection.size), BM25_K1, BM25_B, usual, depth
    ]  # fmt: skip
    if selection.wide is None:
        rows = await connection.fetch(_SEARCH["match_terms"], *parameters, selection.numbers)
    else:
        rows = await connection.fetch(_SEARCH["match_terms_filtered"], *parameters, *selection.wide)
    return (
        {row["memory_no"]: row["score"] for row in rows},
        {row["memory_no"]: row["scope_no"] for row in rows},
    )


async def _match_vectors(
    connection: Connection,
    table: VectorTable,
    vector: Vector,
    selection: _Selection,
    depth: int,
) -> tuple[dict[int, _VectorHit], dict[int, int]]:
    statement, arguments = _vector_search(table, selection)
    hits: dict[int, _VectorHit] = {}
    scopes: dict[int, int] = {}
    for widening in (1, 4, 16):
        rows = await connection.fetch(statement, vector, depth * widening, *arguments)
        for row in rows:  # a long memory has several chunks: the best one counts
            number = row["memory_no"]
            best = hits.get(number)
            if best is None or row["similarity"] > best.similarity:
                hits[number] = _VectorHit(row["similarity"], row["char_start"], row["char_end"])
                scopes[number] = row["scope_no"]
        # Where a few long memories filled the list with their chunks, look further.
        if len(rows) < depth * widening or len(hits) >= depth // 2:
            break
    return hits, scopes


def _vector_search(table: VectorTable, selection: _Selection) -> tuple[str, list[Any]]:
    """Return the statement for a selection, and its parameters from $3 on."""
    scopes = list(selection.scopes)
    if selection.numbers is not None:
        return table.nearest_among(), [selection.numbers]
    if selection.exact:
        return table.nearest_exactly(), [scopes]
    if selection.wide is not None:
        return table.nearest_filtered(), [scopes, *selection.wide]
    if selection.collections:
        return table.nearest_in_collections(), [scopes, list(selection.collections)]
    return table.nearest(), [scopes]


def _hit(candidate: Ranked, memory: Memory, vector: _VectorHit | None) -> Hit:
    offset = len(memory.context) + 1 if memory.context else 0
    start = max(0, vector.char_start - offset) if vector else None
    end = max(0, vector.char_end - offset) if vector else None
    return Hit(
        memory=memory, score=candidate.score, arms=candidate.arms, char_start=start, char_end=end
    )


def check_request(request: SearchRequest) -> None:
    """Refuse a request that cannot be answered as it is; raises `UsageError`."""
    if request.mode not in MODES:
        raise unknown_value("mode", request.mode, MODES)
    for tier in request.tiers:
        if tier not in TIERS:
            raise unknown_value("tier", tier, TIERS)
    for kind in request.wanted.memory_types:
        if kind not in MEMORY_TYPES:
            raise unknown_value("type", kind, MEMORY_TYPES)
    check_text(request.query, what="question")
    if not request.query.strip():
        raise UsageError("There is no question.", code="search.empty")
    if len(request.query) > MAX_QUERY_CHARACTERS:
        raise UsageError(
            f"The question has {len(request.query):,} characters; "
            f"at most {MAX_QUERY_CHARACTERS:,} are taken.",
            code="search.too_long",
        )
    if not 1 <= request.limit <= MAX_LIMIT:
        raise UsageError(f"limit must be 1 to {MAX_LIMIT}.", code="input.limit")
    if request.max_tokens is not None and request.max_tokens < 1:
        raise UsageError("max_tokens must be at least 1.", code="input.max_tokens")
    if request.threshold is not None and not -1 <= request.threshold <= 1:
        raise UsageError("threshold is a cosine: -1 to 1.", code="input.threshold")


def _nothing(request: SearchRequest, degraded: Sequence[Degraded]) -> SearchResult:
    return SearchResult(
        query=request.query,
        mode=request.mode,
        hits=(),
        degraded=tuple(degraded),
        explanation={"candidates": 0, "searched": 0},
    )
