"""What the operations take and give that read runs of workflows."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from msgspec import Meta, field

from mahavishnu.memory.checks import check_limit
from mahavishnu.memory.executions import FILTERS, ExecutionFilter, WorkflowCounts
from mahavishnu.memory.records import ExecutionStatus
from mahavishnu.operations.bodies import Body, DegradedBody
from mahavishnu.operations.moments import parse_moment
from mahavishnu.operations.operation import Request
from mahavishnu.operations.requests import (
    DEFAULT_BUDGET,
    Budget,
    Limit,
    Moment,
    Name,
    Sought,
)


class SearchWorkflows(Request, frozen=True, kw_only=True):
    """Which runs."""

    query: Annotated[
        Annotated[str, Meta(min_length=1, max_length=10_000)] | None,
        Meta(description="What you look for, in your words; without it the newest are listed."),
    ] = None
    workflow_id: Annotated[Sought | None, Meta(description="Only this workflow.")] = None
    repository: Annotated[Sought | None, Meta(description="Only runs on this repository.")] = None
    status: Annotated[
        ExecutionStatus | None, Meta(description="Only runs that are or ended so.")
    ] = None
    adapter: Annotated[Sought | None, Meta(description="Only of this adapter.")] = None
    project: Annotated[Sought | None, Meta(description="Only of this project.")] = None
    since: Annotated[
        Moment | None,
        Meta(description='Not before: "7d", "12h", "2w" ago, or an ISO date or time.'),
    ] = None
    until: Annotated[Moment | None, Meta(description="Before this moment; as since.")] = None
    limit: Limit = 10
    with_context: Annotated[
        bool,
        Meta(description="Add what was said and committed about each run from its start on."),
    ] = False
    max_tokens: Budget = DEFAULT_BUDGET

    def filter(self) -> ExecutionFilter:
        """Return the filter, which checks itself."""
        fields = {name: getattr(self, name) for name in FILTERS}
        moments = {name: parse_moment(fields[name], what=name) for name in ("since", "until")}
        return ExecutionFilter(**fields | moments)

    def check(self) -> None:
        """Refuse a filter that nothing can pass, and an invalid number."""
        self.filter()
        check_limit(self.limit)


class GetExecution(Request, frozen=True, kw_only=True):
    """Which run."""

    id: Annotated[
        Name,
        Meta(
            description="Id of the run, whole or the 8 hex digits it ends with, or its id in its adapter."
        ),
    ]
    max_tokens: Budget = DEFAULT_BUDGET


class WorkflowStats(Request, frozen=True, kw_only=True):
    """Since when, and how long the answer may be."""

    since: Annotated[
        Moment | None, Meta(description='Not before: "7d" ago, or an ISO date or time.')
    ] = None
    limit: Limit = 100
    max_tokens: Budget = DEFAULT_BUDGET


class ExecutionBody(Body, frozen=True, kw_only=True):
    """A run of a workflow."""

    id: UUID
    execution_id: str
    workflow_id: str
    adapter: str
    project: str | None = None
    repositories: list[str] = field(default_factory=list)
    status: str
    error: Annotated[str | None, Meta(description="What went wrong; in lists its last line.")] = (
        None
    )
    started_at: datetime
    finished_at: datetime | None = None
    duration_s: float | None = None
    memory_id: Annotated[UUID | None, Meta(description="The memory of its end.")] = None
    metadata: dict[str, Any] = field(default_factory=dict)
    left_out: Annotated[
        list[str], Meta(description="Fields cut or left out, for they did not fit max_tokens.")
    ] = field(default_factory=list)


class RelatedMemory(Body, frozen=True, kw_only=True):
    """What was said or committed about a run; get_memory gives the whole."""

    id: UUID
    content: Annotated[str, Meta(description="Its beginning.")]
    collection: str
    source_system: str
    occurred_at: datetime
    session_id: str | None = None
    commit: str | None = None
    speaker: Annotated[str | None, Meta(description="Who said or committed it.")] = None


class FoundExecution(ExecutionBody, frozen=True, kw_only=True):
    """A run that was found."""

    score: Annotated[float | None, Meta(description="0 to 1, within this answer only.")] = None
    context: list[RelatedMemory] = field(default_factory=list)


class WorkflowAnswer(Body, frozen=True, kw_only=True):
    """Runs: the best first for a question, else the newest."""

    executions: list[FoundExecution]
    degraded: list[DegradedBody]
    omitted: Annotated[int, Meta(description="Runs that did not fit max_tokens.")] = 0


class ExecutionDetails(ExecutionBody, frozen=True, kw_only=True):
    """A run with all that is known of it."""

    result: dict[str, Any] | None = None


class WorkflowCountsAnswer(Body, frozen=True, kw_only=True):
    """Workflows, those with the most runs first."""

    workflows: list[WorkflowCounts]
    omitted: Annotated[int, Meta(description="Workflows that did not fit max_tokens.")] = 0
