"""Reading executions back: lists, one, and how workflows went."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from uuid import UUID

from mahavishnu.base.errors import NotFound
from mahavishnu.database.pool import Database
from mahavishnu.database.queries import load_queries
from mahavishnu.memory.checks import check_limit, check_moment, check_text, unknown_value
from mahavishnu.memory.records import STATUSES, Execution

_QUERIES = load_queries("records")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionFilter:
    """Which executions are meant; a field left out does not narrow. Times are those of the end, or of the start."""

    workflow_id: str | None = None
    repository: str | None = None
    status: str | None = None
    adapter: str | None = None
    project: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def __post_init__(self) -> None:
        for name in ("workflow_id", "repository", "status", "adapter", "project"):
            if getattr(self, name) is not None:
                check_text(getattr(self, name), what=name)
        if self.status not in (None, *STATUSES):
            raise unknown_value("status", self.status or "", STATUSES)
        check_moment(self.since, what="since")
        check_moment(self.until, what="until")


FILTERS = tuple(each.name for each in fields(ExecutionFilter))


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowCounts:
    """How the executions of a workflow ended, and how long they took, in seconds."""

    workflow_id: str
    adapter: str
    runs: int
    completed: int
    failed: int
    cancelled: int
    crashed: int
    running: int
    median_s: float | None
    p95_s: float | None
    last_status: str
    last_started_at: datetime


async def find_executions(
    database: Database,
    wanted: ExecutionFilter,
    *,
    limit: int,
    memories: Sequence[UUID] | None = None,
) -> list[Execution]:
    """Return executions, newest first; with `memories` only those that these are of."""
    check_limit(limit)
    rows = await database.run(
        lambda c: c.fetch(
            _QUERIES["find_executions"], wanted.workflow_id, wanted.repository, wanted.status,
            wanted.adapter, wanted.project, wanted.since, wanted.until, memories, limit,
        )
    )  # fmt: skip
    return [Execution(**row) for row in rows]


async def get_execution(database: Database, reference: str) -> Execution:
    """
    Return an execution by its id, the 8 hex digits that it ends with, or its id in its adapter.

    Raises:
        NotFound: `execution.not_found`. Of several the newest is returned.
    """
    check_text(reference, what="id")
    row = await database.run(
        lambda c: c.fetchrow(_QUERIES["get_execution"], reference, reference.lower())
    )
    if row is None:
        raise NotFound(
            f"There is no execution {reference[:200]}.",
            hint="List them with: mahavishnu workflow list",
            code="execution.not_found",
        )
    return Execution(**row)


async def count_workflows(
    database: Database, *, since: datetime | None, limit: int
) -> list[WorkflowCounts]:
    """Return the counts of workflows, those with the most executions first."""
    check_moment(since, what="since")
    check_limit(limit)
    rows = await database.run(lambda c: c.fetch(_QUERIES["count_workflows"], since, limit))
    return [WorkflowCounts(**row) for row in rows]


async def find_projects(database: Database, names: Sequence[str]) -> list[str]:
    """Return those of the names that projects have."""
    rows = await database.run(lambda c: c.fetch(load_queries("scopes")["list_project_names"]))
    return sorted({row["name"] for row in rows} & {*names})
