"""A question, the port of the tiers that it is put to, and one answer from those that were asked."""

import asyncio
from collections.abc import Mapping, Sequence
from copy import replace
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

from mahavishnu.base.errors import MahavishnuError, Unavailable, UsageError
from mahavishnu.base.telemetry.spans import SpanValue, span
from mahavishnu.embedding.chunks import estimate_tokens
from mahavishnu.memory.checks import check_limit, check_text, unknown_value, wrong_type
from mahavishnu.memory.metrics import Timings
from mahavishnu.memory.models import (
    MAX_QUERY_CHARACTERS,
    MEMORY_TYPES,
    MODES,
    ArmScore,
    BroughtVector,
    Degraded,
    Hit,
    MemoryFilter,
    Mode,
    SearchResult,
)

EVERYTHING = MemoryFilter()
type TierName = Literal["hot", "cold", "development", "all"]
TIERS: tuple[str, ...] = get_args(TierName.__value__)
# Where a tier is not there, the one that holds all that it would hold.
SUBSTITUTES = {"hot": "cold"}
NO_DEVELOPMENT = "No Session-Buddy is set up."
NO_HOT = "Only a server has it, with the extra hot; cold answers for it."


@dataclass(frozen=True, kw_only=True)
class SearchRequest:
    """
    A question and its bounds.

    `threshold` is the least cosine similarity of a vector-arm hit. `max_tokens` bounds the contents
    together. `tiers` names where to look: "cold" (PostgreSQL), "hot" (the same, its vectors in memory),
    "development" or "all"; where it is empty, hot if it is there, else cold. `vector` is the caller's own
    vector of the question, of the database's model; the embedder is not asked then.
    """

    query: str
    mode: Mode = "hybrid"
    wanted: MemoryFilter = EVERYTHING
    limit: int = 10
    threshold: float | None = None
    max_tokens: int | None = None
    tiers: tuple[str, ...] = ()
    vector: BroughtVector | None = None


class Tier(Protocol):
    """A place to search."""

    async def search(self, request: SearchRequest) -> SearchResult:
        """
        Return at most `request.limit` hits, best first, and what did not take part.

        The request was checked. Its `tiers` and `max_tokens` are for the `Retriever` to follow.

        Raises:
            Unavailable: the tier cannot answer now.
            MahavishnuError: the request cannot be answered as it is.
        """
        ...


class Retriever:
    """Asks the tiers that a request names, all at once, and makes one answer of theirs."""

    def __init__(self, tiers: Mapping[str, Tier]) -> None:
        self._tiers = tiers
        self.timings = Timings("search")

    async def search(self, request: SearchRequest) -> SearchResult:
        """
        Return the best memories for a question; `degraded` names the tiers that did not answer.

        Raises:
            UsageError: empty question, limit out of range, unknown mode or tier, or none of the
                tiers is set up.
            MahavishnuError: what a tier raises. `Unavailable` only where no other one answered.
        """
        check_request(request)
        names, degraded = self._choose(request.tiers)
        if not names:
            raise UsageError(
                NO_DEVELOPMENT,
                hint="Set session_buddy.python or session_buddy.address, or search another tier.",
                code="search.tier_not_yet",
            )
        asked: dict[str, SpanValue] = {
            "mahavishnu.search.mode": request.mode,
            "mahavishnu.search.limit": request.limit,
        }
        with span("search", asked) as seen:
            with self.timings.timed():
                results, failed = await self._ask(names, request)
            hits, explanation = _merge(results, request.limit)
            seen.set({"mahavishnu.search.hits": len(hits)})
        return SearchResult(
            query=request.query,
            mode=request.mode,
            hits=within_budget(hits, request.max_tokens),
            degraded=(*degraded, *failed, *(d for r in results.values() for d in r.degraded)),
            explanation=explanation,
        )

    def _choose(self, wanted: Sequence[str]) -> tuple[list[str], list[Degraded]]:
        """Return the names of the tiers to ask, each once, and which ones are not there."""
        if not wanted:
            return ["hot" if "hot" in self._tiers else "cold"], []
        names: list[str] = []
        degraded: list[Degraded] = []
        for name in [each for each in TIERS if each != "all" and {each, "all"} & {*wanted}]:
            answering = name if name in self._tiers else SUBSTITUTES.get(name)
            if answering is not None and answering not in names:
                names.append(answering)
            if answering != name:
                reason = NO_HOT if answering else NO_DEVELOPMENT
                degraded.append(Degraded(part=f"tier:{name}", reason=reason))
        if "hot" in names and "cold" in names:
            names.remove("cold")  # hot answers with all of it
        return names, degraded

    async def _ask(
        self, names: Sequence[str], request: SearchRequest
    ) -> tuple[dict[str, SearchResult], list[Degraded]]:
        """Ask the tiers; one that is not available is named, where others answered."""
        if len(names) == 1:  # as nearly always: a task for it would take longer than its ranking
            return {names[0]: await self._tiers[names[0]].search(request)}, []

        async def ask(name: str) -> SearchResult | MahavishnuError:
            try:
                return await self._tiers[name].search(request)
            except MahavishnuError as error:
                return error

        outcomes = dict(zip(names, await asyncio.gather(*map(ask, names)), strict=True))
        results = {n: each for n, each in outcomes.items() if isinstance(each, SearchResult)}
        errors = {n: each for n, each in outcomes.items() if isinstance(each, MahavishnuError)}
        for error in errors.values():
            if not results or not isinstance(error, Unavailable):
                raise error
        return results, [Degraded(part=f"tier:{n}", reason=e.message) for n, e in errors.items()]


def _merge(
    results: Mapping[str, SearchResult], limit: int
) -> tuple[Sequence[Hit], Mapping[str, object]]:
    """
    Return the best hits of all, each memory once, and how they were found.

    What several tiers found scores 1 - (1 - a)(1 - b): higher than in each of them, and never above 1. The
    contributions of all arms add up to it.
    """
    if len(results) == 1:
        [only] = results.values()
        return only.hits, only.explanation
    best: dict[object, Hit] = {}
    texts: dict[str, object] = {}
    for hit in (hit for each in results.values() for hit in each.hits):
        # What is no memory of ours is the same as one that says the same.
        key = (
            hit.memory.id if hit.memory.memory_no else texts.get(hit.memory.content, hit.memory.id)
        )
        texts.setdefault(hit.memory.content, key)
        best[key] = _fuse_hits(best[key], hit) if key in best else hit
    hits = sorted(best.values(), key=lambda hit: hit.score, reverse=True)
    return hits[:limit], {name: dict(each.explanation) for name, each in results.items()}


def _fuse_hits(first: Hit, second: Hit) -> Hit:
    left = 1 - first.score
    arms = {
        name: ArmScore(rank=arm.rank, score=arm.score, contribution=left * arm.contribution)
        for name, arm in second.arms.items()
    }
    score = first.score + left * second.score
    return replace(first, score=min(1.0, score), arms={**arms, **first.arms})


def within_budget(hits: Sequence[Hit], max_tokens: int | None) -> tuple[Hit, ...]:
    """
    Keep the best hits whose contents fit the budget together; the first is cut to fit alone.

    Tokens are estimated on the high side.
    """
    if max_tokens is None:
        return tuple(hits)
    left = max_tokens
    kept: list[Hit] = []
    for hit in hits:
        size = estimate_tokens(hit.memory.content)
        if size > left and not kept:
            return (_cut_hit(hit, left),)
        if size <= left:
            kept.append(hit)
            left -= size
    return tuple(kept)


def _cut_hit(hit: Hit, max_tokens: int) -> Hit:
    """Return the hit with as much of its content as fits, from its best place on; the range follows."""
    content = hit.memory.content
    length = len(content)
    start = hit.char_start or 0
    while length > 1 and estimate_tokens(content[start : start + length]) > max_tokens:
        length = max(1, length * 3 // 4)
    memory = replace(hit.memory, content=content[start : start + length])
    if hit.char_start is None or hit.char_end is None:
        return replace(hit, memory=memory, truncated=True)
    end = min(hit.char_end - start, len(memory.content))
    return replace(hit, memory=memory, char_start=0, char_end=end, truncated=True)


def check_request(request: SearchRequest) -> None:
    """Refuse a request that cannot be answered as it is; raises `UsageError`."""
    if request.mode not in MODES:
        raise unknown_value("mode", request.mode, MODES)
    if not isinstance(request.tiers, tuple | list):
        raise wrong_type("tiers", "a tuple of names", request.tiers)
    for tier in request.tiers:
        if tier not in TIERS:
            raise unknown_value("tier", tier, TIERS)
    for kind in request.wanted.memory_types:
        if kind not in MEMORY_TYPES:
            raise unknown_value("type", kind, MEMORY_TYPES)
    check_text(request.query, what="question")
    if not request.query.strip():
        raise UsageError(
            "There is no question.", hint="Say what you look for.", code="search.empty"
        )
    if len(request.query) > MAX_QUERY_CHARACTERS:
        raise UsageError(
            f"The question has {len(request.query):,} characters; "
            f"at most {MAX_QUERY_CHARACTERS:,} are taken.",
            hint="Ask for what matters in a few words.",
            code="search.too_long",
        )
    check_limit(request.limit)
    budget, threshold = request.max_tokens, request.threshold
    if budget is not None and (type(budget) is not int or budget < 1):
        raise UsageError(
            "max_tokens must be a whole number from 1 on.",
            hint="Leave it out for whole contents.",
            code="input.max_tokens",
        )
    if threshold is not None and (
        isinstance(threshold, bool)
        or not isinstance(threshold, int | float)
        or not -1 <= threshold <= 1
    ):
        raise UsageError(
            "threshold is a cosine: a number from -1 to 1.",
            hint="Leave it out to see everything, best first.",
            code="input.threshold",
        )
