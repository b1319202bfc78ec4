"""
`development`: Session-Buddy, asked by the words of a question.

What it has of ours is read from PostgreSQL, so that an answer shows what may be seen now. What others stored there is
shown as it is.
"""

import re
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid5

from mahavishnu.base.errors import Conflict, Unavailable
from mahavishnu.database.pool import Database
from mahavishnu.memory.models import (
    ArmScore,
    Degraded,
    Hit,
    Memory,
    MemoryFilter,
    SearchResult,
)
from mahavishnu.memory.ranking import WEIGHTS
from mahavishnu.memory.scoping import Scopes
from mahavishnu.memory.search import SearchRequest
from mahavishnu.memory.statements import load_memory_queries
from mahavishnu.memory.store import read_memory
from mahavishnu.services.session_buddy.client import CALL_S, SessionBuddy

ARM = "session_buddy"
DEADLINE_S = 0.4  # beside other tiers
REST_S = 2.0  # one that did not answer in time is not asked again for so long
DEPTH = 50  # rows that are asked for: it returns the newest, not the best
_MEMORIES = load_memory_queries("memories")
_OURS = re.compile(r"\[mv:([0-9a-f]{32})\] ")
_ROWS = UUID("6b1f6a52-7a53-4d0c-9d0e-3c1a6f1d2b77")  # what ids of its own rows are derived from


class DevelopmentTier:
    """Searches the insights that Session-Buddy has."""

    def __init__(self, buddy: SessionBuddy, database: Database, scopes: Scopes) -> None:
        self._buddy = buddy
        self._database = database
        self._scopes = scopes
        self._rest: tuple[float, Unavailable] | None = None

    async def search(self, request: SearchRequest) -> SearchResult:
        """
        Return the insights that share words with a question, within the deadline.

        Raises:
            NotFound: a project of the filter is not there.
            Unavailable: it does not answer in time, or cannot search so.
        """
        wanted = request.wanted
        narrowed = wanted.memory_types or wanted.collections
        if narrowed and "insight" not in wanted.wanted_collections:
            return _result(request, (), (), 0)
        if request.mode == "vector":
            raise Unavailable(
                "Session-Buddy compares words, not vectors.",
                hint="Use the mode hybrid or text.",
                code="session_buddy.refused",
            )
        started = time.perf_counter()
        rows = await self._ask(request)
        hits = await self._read(rows, request)
        degraded = () if self._buddy.keeps_rows else (_forgetful(),)
        return _result(request, hits[: request.limit], degraded, time.perf_counter() - started)

    async def _ask(self, request: SearchRequest) -> list[Mapping[str, Any]]:
        """Return rows of Session-Buddy, best first; a server that failed is left alone for a moment."""
        if self._rest is not None and time.monotonic() < self._rest[0]:
            raise self._rest[1]
        self._rest = None
        asked = {"query": request.query, "content_type": "reflection", "limit": DEPTH}
        alone = {*request.tiers} == {"development"}
        try:
            answer = await self._buddy.call(
                "fingerprint_search", asked, timeout_s=CALL_S if alone else DEADLINE_S
            )
        except Conflict as error:
            raise Unavailable(error.message, hint=error.hint, code=error.code) from error
        except Unavailable as error:
            self._rest = time.monotonic() + REST_S, error
            raise
        rows = [each for each in answer.structured.get("results", ()) if _is_row(each)]
        return sorted(rows, key=lambda row: float(row["similarity"]), reverse=True)

    async def _read(
        self, rows: Sequence[Mapping[str, Any]], request: SearchRequest
    ) -> tuple[Hit, ...]:
        """Make hits of rows, each memory once; ours as PostgreSQL has them, if it lets them pass."""
        named = [each for row in rows if (each := _id_of(row))]
        known = await self._find_live(named, request.wanted)
        found: dict[UUID, tuple[Memory, float]] = {}
        for row in rows:
            ours = _id_of(row)
            memory = known.get(ours) if ours else _foreign(row, request.wanted)
            if memory is not None:
                found.setdefault(memory.id, (memory, min(1.0, float(row["similarity"]))))
        return tuple(
            _hit(memory, similarity, rank)
            for rank, (memory, similarity) in enumerate(found.values(), start=1)
        )

    async def _find_live(self, ids: Sequence[UUID], wanted: MemoryFilter) -> dict[UUID, Memory]:
        """Return those of these memories that a search with this filter may show."""
        values = list(ids), list(await self._scopes.visible(wanted)), list(wanted.projects)
        rows = await self._database.run(
            lambda c: c.fetch(
                _MEMORIES["find_live"], *values, wanted.condition, *wanted.fine_parameters
            )
        )
        return {memory.id: memory for memory in map(read_memory, rows)}


def _is_row(row: Any) -> bool:
    return (
        isinstance(row, Mapping)
        and isinstance(row.get("content"), str)
        and isinstance(row.get("similarity"), int | float)
    )


def _id_of(row: Mapping[str, Any]) -> UUID | None:
    """Return the id of the memory that a row was delivered for."""
    ours = _OURS.match(row["content"])
    return UUID(ours[1]) if ours else None


def _hit(memory: Memory, similarity: float, rank: int) -> Hit:
    # It compares words alone, so it weighs what words do.
    score = WEIGHTS["insight"].text_share * similarity
    arm = ArmScore(rank=rank, score=similarity, contribution=score)
    return Hit(memory=memory, score=score, arms={ARM: arm})


def _foreign(row: Mapping[str, Any], wanted: MemoryFilter) -> Memory | None:
    """Return a row of others; None where a filter asks for more than it says of itself."""
    if wanted.is_fine or wanted.projects:
        return None
    stored_at = _moment(row.get("created_at"))
    identity = str(row.get("id") or row["content"])
    return Memory(
        id=uuid5(_ROWS, identity), memory_no=0, content=row["content"], context="", memory_type="insight",
        collection="insight", source_system="session-buddy", source_key="", project=None, owner="session-buddy",
        visibility="private", metadata={"session_buddy_id": identity, "tags": row.get("tags") or []},
        agent_id=None, workflow_id=None, repo_id=None, session_id=None, path=None, commit_id=None,
        occurred_at=stored_at, stored_at=stored_at, expires_at=None, superseded_by=None,
    )  # fmt: skip


def _moment(told: Any) -> datetime:
    """Return a time of Session-Buddy, which writes UTC without saying so; the epoch where it gives none."""
    try:
        moment = datetime.fromisoformat(str(told))
    except ValueError:
        return datetime.fromtimestamp(0, UTC)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _forgetful() -> Degraded:
    return Degraded(
        part="tier:development",
        reason="This Session-Buddy was not started by Mahavishnu, and loses rows at its restart.",
    )


def _result(
    request: SearchRequest, hits: tuple[Hit, ...], degraded: tuple[Degraded, ...], spent_s: float
) -> SearchResult:
    return SearchResult(
        query=request.query,
        mode=request.mode,
        hits=hits,
        degraded=degraded,
        explanation={"matched": "words", "elapsed_ms": round(spent_s * 1000, 2)},
    )
