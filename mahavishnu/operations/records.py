"""The operations that record turns, executions and metrics."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import Meta
from msgspec.structs import asdict

from mahavishnu.errors import UsageError
from mahavishnu.memory.conversations import NewTurn
from mahavishnu.memory.records import Metric, NewExecution
from mahavishnu.operations.bodies import Body
from mahavishnu.operations.moments import is_relative, read_moment
from mahavishnu.operations.operation import Call
from mahavishnu.operations.record_requests import RecordExecution, RecordMetrics, RecordTurn


class RecordedTurn(Body, frozen=True, kw_only=True):
    """The memory of the turn."""

    id: UUID
    created: Annotated[bool, Meta(description="Whether the session had no such text there yet.")]
    embedded: Annotated[bool, Meta(description="Whether it has its vector, or waits for it.")]


class Recorded(Body, frozen=True, kw_only=True):
    """The row that holds what was recorded."""

    id: UUID


async def record_turn(call: Call, request: RecordTurn) -> RecordedTurn:
    """Record one turn; with another text at the same place, the later text takes its place."""
    turn = NewTurn(
        **asdict(request)
        | {
            "source_system": request.source_system or call.source,
            "occurred_at": _optional(request.occurred_at, "occurred_at"),
        }
    )
    [stored] = await call.app.conversations.record([turn])
    return RecordedTurn(id=stored.id, created=stored.created, embedded=stored.embedded)


async def record_execution(call: Call, request: RecordExecution) -> Recorded:
    """Record a run of a workflow, or what became of it."""
    new = NewExecution(
        **asdict(request)
        | {
            "started_at": _absolute(request.started_at, "started_at"),
            "finished_at": _optional(request.finished_at, "finished_at"),
        }
    )
    return Recorded(id=await call.app.records.record_execution(new))


async def record_metrics(call: Call, request: RecordMetrics) -> Recorded:
    """Record what was measured of a component; the same again is the same row."""
    metric = Metric(
        source=request.component,
        name=request.metric_type,
        figures=request.metrics,
        text=request.text,
        labels=request.metadata,
        recorded_at=_absolute(request.recorded_at, "recorded_at"),
    )
    return Recorded(id=await call.app.records.record_metric(metric, project=request.project))


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
