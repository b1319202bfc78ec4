"""`cold`: PostgreSQL. Two arms, by words and by meaning, fused, with what was missing named."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Any

from mahavishnu.base.errors import MahavishnuError
from mahavishnu.base.telemetry.spans import describe_span
from mahavishnu.database.pool import Connection, Database
from mahavishnu.database.vectors import VectorTable
from mahavishnu.memory.arms import (
    Comparison,
    MatchVectors,
    TextHit,
    VectorHit,
    match_text,
    match_vectors,
    measure_similarities,
)
from mahavishnu.memory.lexicon import split_query
from mahavishnu.memory.models import (
    Degraded,
    Hit,
    Memory,
    SearchResult,
    VectorLike,
)
from mahavishnu.memory.ranking import Ranked, fuse
from mahavishnu.memory.scoping import Scopes
from mahavishnu.memory.search import SearchRequest
from mahavishnu.memory.selection import EXACT_UP_TO, Selection, Selector
from mahavishnu.memory.space import EmbeddingSpace
from mahavishnu.memory.statements import load_memory_queries
from mahavishnu.memory.store import read_memory

DEPTH = 100  # candidates of each arm, at least
SPARE = 2  # candidates read beyond the limit, in case some died
CHUNKS_TO_SPARE = 10  # chunks asked for beyond the limit where nothing has to be fused
PURGE_EVERY_S = 60.0
WAITING_CAP = 1000  # how far waiting memories are counted
ATTEMPTS = 4  # at an answer that is not out of date when it is given

_SEARCH = load_memory_queries("search")
_MEMORIES = load_memory_queries("memories")


@dataclass(frozen=True)
class _Question:
    """A request made ready: its terms, and its vector with the table to compare it with, and its model."""

    request: SearchRequest
    terms: list[str]
    vector: VectorLike | None
    table: VectorTable | None
    model: str | None
    depth: int


@dataclass(frozen=True)
class _Answer:
    """
    What the database gave: hits, how many candidates they were chosen from, how many wait.

    `compared` tells how vectors were, `died` how many candidates were no longer live, `changed` whether memories were
    stored `as_of` a transaction, from which on their vectors were not compared.
    """

    selection: Selection
    compared: Comparison = "exact"
    as_of: int | None = None
    changed: bool = False
    hits: tuple[Hit, ...] = ()
    candidates: int = 0
    died: int = 0
    waiting: int = 0
    others_waiting: int = 0
    fingerprint: int | None = None


class ColdTier:
    """Searches the stored memories that the caller may see; `match` finds their vectors."""

    def __init__(
        self,
        database: Database,
        space: EmbeddingSpace,
        scopes: Scopes,
        match: MatchVectors = match_vectors,
    ) -> None:
        self._database = database
        self._match = match
        self._space = space
        self._selector = Selector(scopes)
        self._purge_at = 0.0
        self._expired_left = False  # others' shared ones, which are theirs to delete

    async def search(self, request: SearchRequest) -> SearchResult:
        """
        Return the best memories for a question.

        Raises:
            NotFound: a project of the filter is not there.
            Conflict: a brought vector is not of the database's model.
            MahavishnuError: the vector arm alone was asked for, and the embedder raised it.
        """
        started = time.perf_counter()
        question, degraded = await self._prepare(request)
        answer = await self._database.run(
            lambda c: self._answer(c, question), keep_plans=self._only_reads_hits(question)
        )
        selection = answer.selection
        if not selection.scopes and selection.targeted is None:
            return _nothing(request, degraded)
        if request.mode != "text" and not _says(degraded, "vector"):
            degraded += _waiting(answer)
        compared = question.table is not None
        return SearchResult(
            query=request.query,
            mode=request.mode,
            hits=answer.hits,
            degraded=tuple(degraded),
            explanation={
                "terms": question.terms,
                "candidates": answer.candidates,
                "searched": selection.size if selection.size <= EXACT_UP_TO else f">{EXACT_UP_TO}",
                "vector_search": answer.compared if compared else None,
                "model": question.model,
                "elapsed_ms": round((time.perf_counter() - started) * 1000, 2),
            },
        )

    async def _prepare(self, request: SearchRequest) -> tuple[_Question, list[Degraded]]:
        """Split and embed the question; failures are reported."""
        vector, reason = await self._embed(request)
        degraded = [reason] if reason else []
        active = await self._space.active() if vector is not None else None
        terms: list[str] = []
        depth = request.limit + CHUNKS_TO_SPARE
        if request.mode != "vector":
            terms = split_query(request.query)
            depth = max(DEPTH, 2 * request.limit)
            if not terms:
                reason = Degraded(part="text", reason="The question has no word that is indexed.")
                degraded.append(reason)
        table, model = (active[0], active[1].name) if active else (None, None)
        return _Question(request, terms, vector, table, model, depth), degraded

    def _only_reads_hits(self, question: _Question) -> bool:
        """Tell whether `fetch_hits` is likely to be all that is asked of PostgreSQL: half of its time is planning."""
        wanted = question.request.wanted
        narrowed = wanted.is_fine or bool(wanted.projects) or self._expired_left
        return self._match is not match_vectors and not question.terms and not narrowed

    async def _embed(self, request: SearchRequest) -> tuple[VectorLike | None, Degraded | None]:
        if request.mode == "text":
            return None, None
        if request.vector is not None:
            return await self._space.check_question(request.vector), None
        try:
            return await self._space.embed_query(request.query), None
        except MahavishnuError as error:
            if request.mode == "vector":
                raise
            return None, Degraded(part="vector", reason=f"{error.message} Only words were matched.")

    async def _answer(self, connection: Connection, question: _Question) -> _Answer:
        """Search what the filter selects; again where the selection turns out to be old."""
        await self._purge_expired(connection)
        if self._expired_left:  # which was not known when the connection was chosen
            await self._database.plan_each(connection)
        match = self._match
        for _ in range(ATTEMPTS):
            answer = await self._find(connection, question, match)
            if answer.fingerprint != answer.selection.fingerprint:
                await self._database.plan_each(connection)
                self._selector.forget()
            elif answer.changed:
                match = partial(self._match, to_the_last=True)
            elif answer.died and len(answer.hits) < question.request.limit:
                await self._database.plan_each(connection)
                match = match_vectors  # whatever else knows vectors may not know yet who died
                self._purge_at = 0.0  # what expired a moment ago was in the way
                await self._purge_expired(connection)
            else:
                break
        return answer

    async def _purge_expired(self, connection: Connection) -> None:
        """Now and then take what has expired out of the indexes, where it would crowd out the rest."""
        now = time.monotonic()
        if now >= self._purge_at:
            self._purge_at = now + PURGE_EVERY_S
            self._expired_left = await connection.fetchval(_MEMORIES["purge_expired"])

    async def _find(
        self, connection: Connection, question: _Question, match: MatchVectors
    ) -> _Answer:
        request, table, vector = question.request, question.table, question.vector
        selection = await self._selector.select(
            connection, request.wanted, expired_left=self._expired_left
        )
        text: dict[int, TextHit] = {}
        vectors: dict[int, VectorHit] = {}
        compared: Comparison = "exact"
        as_of: int | None = None
        for part in filter(None, (selection if selection.scopes else None, selection.targeted)):
            text |= await match_text(connection, question.terms, part, question.depth)
            if table is not None and vector is not None:
                at_least = (
                    request.limit + SPARE if request.mode == "vector" else question.depth // 2
                )
                near, how, seen_to = await match(
                    connection, table, vector, part, question.depth, at_least=at_least
                )
                vectors |= near
                compared = how if part is selection else compared
                as_of = seen_to if part is selection else as_of
        describe_span(
            {
                "mahavishnu.search.text.candidates": len(text),
                "mahavishnu.search.vector.candidates": len(vectors),
                "mahavishnu.search.vector.compared": compared,
            }
        )
        answer = _Answer(selection, compared, as_of)
        return await self._rank(connection, question, answer, text, vectors)

    async def _rank(
        self,
        connection: Connection,
        question: _Question,
        answer: _Answer,
        text: Mapping[int, TextHit],
        vectors: Mapping[int, VectorHit],
    ) -> _Answer:
        """Order the candidates of both arms, and read the best."""
        request, table, vector = question.request, question.table, question.vector
        if request.threshold is not None:
            vectors = {n: h for n, h in vectors.items() if h.similarity >= request.threshold}
        similarities = {number: hit.similarity for number, hit in vectors.items()}
        if table is not None and vector is not None and request.mode == "hybrid":
            unseen = [number for number in text if number not in similarities]
            similarities |= await measure_similarities(connection, table, vector, unseen)
        found: dict[int, TextHit | VectorHit] = {**text, **vectors}
        ranked = fuse(
            {number: hit.score for number, hit in text.items()},
            similarities,
            collections={
                n: answer.selection.collection_of(hit.scope_no) for n, hit in found.items()
            },
            vector_candidates=vectors,
        )
        answer = replace(answer, candidates=len(found))
        return await self._read(connection, answer, ranked, vectors, request.limit)

    async def _read(
        self,
        connection: Connection,
        answer: _Answer,
        ranked: Iterator[Ranked],
        vectors: Mapping[int, VectorHit],
        limit: int,
    ) -> _Answer:
        """Fetch the best candidates; those that died meanwhile are passed over."""
        hits: list[Hit] = []
        died = 0
        while True:
            size = limit - len(hits) + SPARE
            page = list(islice(ranked, size))
            numbers = [candidate.memory_no for candidate in page]
            rows = await connection.fetch(
                _SEARCH["fetch_hits"], numbers, list(answer.selection.scopes), WAITING_CAP,
                answer.as_of,
            )  # fmt: skip
            found = _memories(rows)
            died += len(page) - len(found)
            hits += [
                _hit(candidate, found[candidate.memory_no], vectors.get(candidate.memory_no))
                for candidate in page
                if candidate.memory_no in found
            ]
            if len(hits) >= limit or len(page) < size:
                break
        state = rows[0]
        return replace(
            answer,
            hits=tuple(hits[:limit]),
            died=died,
            changed=state["changed"],
            fingerprint=state["fingerprint"],
            waiting=state["waiting"],
            others_waiting=state["others_waiting"],
        )


def _memories(rows: Sequence[Any]) -> dict[int, Memory]:
    """Return the memories of `fetch_hits` by number."""
    memories = (read_memory(row[4:]) for row in rows if row["id"] is not None)
    return {memory.memory_no: memory for memory in memories}


def _says(degraded: Sequence[Degraded], part: str) -> bool:
    return any(each.part == part for each in degraded)


def _waiting(answer: _Answer) -> list[Degraded]:
    own = _wait_for_vectors(answer.waiting, "")
    others = _wait_for_vectors(answer.others_waiting, " of others")
    degraded = (
        (answer.waiting, Degraded(part="vector", reason=own, waiting=True)),
        (
            answer.others_waiting,
            Degraded(part="vector", reason=f"{others}, which only their owners can have made"),
        ),
    )
    return [part for count, part in degraded if count]


def _wait_for_vectors(count: int, whose: str) -> str:
    if count == 1:
        return f"1 memory{whose} waits for its vector"
    shown = f"{count}" if count < WAITING_CAP else f"{WAITING_CAP} or more"
    return f"{shown} memories{whose} wait for their vectors"


def _hit(candidate: Ranked, memory: Memory, vector: VectorHit | None) -> Hit:
    offset = len(memory.context) + 1 if memory.context else 0
    start = max(0, vector.char_start - offset) if vector else None
    end = max(0, vector.char_end - offset) if vector else None
    return Hit(
        memory=memory, score=candidate.score, arms=candidate.arms, char_start=start, char_end=end
    )


def _nothing(request: SearchRequest, degraded: Sequence[Degraded]) -> SearchResult:
    return SearchResult(
        query=request.query,
        mode=request.mode,
        hits=(),
        degraded=tuple(degraded),
        explanation={"candidates": 0, "searched": 0},
    )
