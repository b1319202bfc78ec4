"""What the operations take that record turns, executions and metrics."""

from datetime import datetime
from typing import Annotated, Any

from msgspec import Meta, field
from msgspec.structs import asdict

from mahavishnu.base.errors import UsageError
from mahavishnu.memory.checks import check_name
from mahavishnu.memory.conversations import MAX_POSITION, NewTurn, Role, check_turn
from mahavishnu.memory.models import utc_now
from mahavishnu.memory.records import (
    MAX_METRIC_TEXT,
    ExecutionStatus,
    Metric,
    NewExecution,
    check_execution,
    check_metric,
)
from mahavishnu.operations.moments import is_relative, read_moment
from mahavishnu.operations.operation import Request
from mahavishnu.operations.requests import Moment, Name

type Metadata = Annotated[dict[str, Any], Meta(description="Your own keys.")]
type ProjectName = Annotated[Name | None, Meta(description="Project it belongs to; made if new.")]


class RecordTurn(Request, frozen=True, kw_only=True):
    """One turn of a conversation."""

    session_id: Annotated[Name, Meta(description="Session that the turn is part of.")]
    position: Annotated[
        int, Meta(ge=0, le=MAX_POSITION, description="Place in the session, counted from 0.")
    ]
    role: Annotated[Role, Meta(description="Who said it.")]
    content: Annotated[str, Meta(min_length=1, description="What was said, up to 1 MiB.")]
    speaker: Annotated[Name | None, Meta(description="Name of who said it.")] = None
    agent_id: Annotated[Name | None, Meta(description="Agent that the session is with.")] = None
    project: ProjectName = None
    occurred_at: Annotated[Moment | None, Meta(description="ISO time; now if absent.")] = None
    branch: Annotated[Name | None, Meta(description="Branch of git it was said on.")] = None
    model: Annotated[Name | None, Meta(description="Model that answered.")] = None
    profile: Annotated[Name | None, Meta(description="Profile that the client was on.")] = None
    metadata: Metadata = field(default_factory=dict)
    source_system: Annotated[
        Name | None, Meta(description="What records it; mcp or http if absent.")
    ] = None

    def turn(self, *, source: str) -> NewTurn:
        """Return what is to be recorded; `source` is its source system where it names none."""
        own = {
            "source_system": source if self.source_system is None else self.source_system,
            "occurred_at": _optional(self.occurred_at, "occurred_at"),
        }
        return NewTurn(**asdict(self) | own)

    def check(self) -> None:
        """Refuse a turn that cannot be recorded."""
        check_turn(self.turn(source="check"))


class RecordExecution(Request, frozen=True, kw_only=True):
    """One run of a workflow."""

    execution_id: Annotated[Name, Meta(description="Names the run within its adapter and project.")]
    workflow_id: Annotated[Name, Meta(description="Workflow that runs.")]
    adapter: Annotated[Name, Meta(description="What runs it, such as prefect.")]
    status: Annotated[
        ExecutionStatus, Meta(description="crashed: its process was gone before it could end.")
    ]
    started_at: Annotated[Moment, Meta(description="ISO time; a retry starts later.")]
    finished_at: Annotated[Moment | None, Meta(description="ISO time, once it has ended.")] = None
    repositories: Annotated[
        list[Name], Meta(max_length=1000, description="Repositories it worked on.")
    ] = field(default_factory=list)
    result: Annotated[dict[str, Any] | None, Meta(description="What it gave.")] = None
    error: Annotated[str | None, Meta(description="What went wrong.")] = None
    project: ProjectName = None
    metadata: Metadata = field(default_factory=dict)

    def execution(self) -> NewExecution:
        """Return what is to be recorded."""
        for repository in self.repositories:
            check_name(repository, what="repository")
        own = {
            "started_at": _absolute(self.started_at, "started_at"),
            "finished_at": _optional(self.finished_at, "finished_at"),
        }
        return NewExecution(**asdict(self) | own)

    def check(self) -> None:
        """Refuse a run that cannot be recorded."""
        check_execution(self.execution())


class RecordMetrics(Request, frozen=True, kw_only=True):
    """What was measured of a component at one moment."""

    component: Annotated[Name, Meta(description="What was measured, such as ollama.")]
    metric_type: Annotated[Name, Meta(description="Kind of measurement, such as health.")]
    recorded_at: Annotated[
        Moment | None,
        Meta(
            description="ISO time of the measurement; now if absent. Give it where a call may be "
            "repeated: without it, each repetition is another sample."
        ),
    ] = None
    metrics: Annotated[
        dict[str, Any], Meta(description='Figures by name, such as {"latency_ms": 12.5}.')
    ] = field(default_factory=dict)
    text: Annotated[
        Annotated[str, Meta(min_length=1, max_length=MAX_METRIC_TEXT)] | None,
        Meta(description='A state in words, such as "healthy".'),
    ] = None
    project: ProjectName = None
    metadata: Metadata = field(default_factory=dict)

    def metric(self) -> Metric:
        """Return what is to be recorded; its names are checked here, under their names."""
        check_name(self.component, what="component")
        check_name(self.metric_type, what="metric_type")
        return Metric(
            source=self.component,
            name=self.metric_type,
            figures=self.metrics,
            text=self.text,
            labels=self.metadata,
            recorded_at=_optional(self.recorded_at, "recorded_at") or utc_now(),
        )

    def check(self) -> None:
        """Refuse a sample that cannot be recorded."""
        check_metric(self.metric(), project=self.project)


def _optional(text: str | None, what: str) -> datetime | None:
    return None if text is None else _absolute(text, what)


def _absolute(text: str, what: str) -> datetime:
    """Read a time; one that is given from now would be another one when the call is repeated."""
    if is_relative(text):
        raise UsageError(
            f"{what} must be a date and time here, not a span.",
            hint="Write it like 2026-11-21T14:30+01:00, so that the call can be repeated.",
            code="input.time",
        )
    return read_moment(text, what=what)
