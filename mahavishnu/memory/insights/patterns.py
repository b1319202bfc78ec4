"""Keep what recurs as insights of their own: found again, they stay; with more behind them, they are superseded."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from mahavishnu.database.pool import Database
from mahavishnu.memory.insights.recurrence import FailedRun, FoundInsight, Pattern, find_patterns
from mahavishnu.memory.models import Memory, NewMemory, utc_now
from mahavishnu.memory.statements import load_memory_queries
from mahavishnu.memory.store import MemoryStore

LOOK_AT = 20_000  # of the newest failures, and of the newest insights
MAX_SOURCES, MAX_TARGETS = 200, 20  # that a pattern names
SOURCE = "mahavishnu"
_QUERIES = load_memory_queries("insights")


@dataclass(frozen=True)
class KeptPattern:
    """A pattern as it is kept now; `changed` tells whether this look made or superseded it."""

    memory: Memory
    changed: bool


class InsightPatterns:
    """Finds what recurs in one's own executions and insights, and keeps it."""

    def __init__(self, database: Database, memories: MemoryStore) -> None:
        self._database = database
        self._memories = memories

    async def find(self, projects: Collection[str] | None = None) -> list[KeptPattern]:
        """
        Keep all that recurs, and return it; with `projects` what one of them takes part in.

        A pattern that was forgotten comes back once there is more behind it.
        """
        failures = await self._fetch("list_failures", LOOK_AT)
        insights = await self._fetch("list_found", LOOK_AT)
        patterns = find_patterns(map(_failure, failures), map(_found, insights))
        kept: list[KeptPattern] = []
        for each in patterns:
            if projects is not None and not {*each.projects} & {*projects}:
                continue
            pattern = await self._keep(each)
            if pattern is not None:
                kept.append(pattern)
        return kept

    async def _keep(self, pattern: Pattern) -> KeptPattern | None:
        key = f"pattern:{pattern.kind}:{pattern.key}"
        known = await self._fetch("find_known", [key], None)
        refused = [] if known else await self._fetch("find_refused", [key], None)
        for row in (*known, *refused):
            if row["metadata"].get("times", 0) >= pattern.times:
                return KeptPattern(await self._memories.get(row["id"]), False) if known else None
        former = known[0] if known else None
        [stored] = await self._memories.store_batch(
            [_insight(pattern, key, former)], embed=False, superseding=True
        )
        return KeptPattern(await self._memories.get(stored.id), True)

    async def _fetch(self, query: str, *values: object) -> list[Any]:
        return await self._database.run(lambda c: c.fetch(_QUERIES[query], *values))


def _insight(pattern: Pattern, key: str, former: Any) -> NewMemory:
    """Return a pattern as a memory; whom the former one was shared with keeps it."""
    metadata = former["metadata"] if former else {}
    targets = [*dict.fromkeys((*metadata.get("targets", ()), *pattern.projects))]
    shared = {"share_type": metadata["share_type"]} if "share_type" in metadata else {}
    return NewMemory(
        content=pattern.text,
        collection="insight",
        source_key=key,
        visibility=former["visibility"] if former else "private",
        source_system=SOURCE,
        workflow_id=pattern.workflow_id,
        occurred_at=pattern.last_at,
        metadata={
            "doc_type": "pattern",
            "kind": pattern.kind,
            "times": pattern.times,
            "first_at": pattern.first_at.isoformat(),
            "last_at": pattern.last_at.isoformat(),
            "extracted_at": utc_now().isoformat(timespec="seconds"),
            "sources": [{"id": str(each)} for each in pattern.sources[:MAX_SOURCES]],
            "targets": targets[:MAX_TARGETS],
            **shared,
        },
    )


def _failure(row: Any) -> FailedRun:
    return FailedRun(
        row["memory_id"], row["workflow_id"], row["error"], tuple(row["projects"]), row["at"]
    )


def _found(row: Any) -> FoundInsight:
    projects = (row["project"],) if row["project"] else ()
    return FoundInsight(
        row["id"], row["source_key"], row["content"], projects, row["times"], row["at"]
    )
