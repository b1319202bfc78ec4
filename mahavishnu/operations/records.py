"""The operations that record turns, executions and metrics."""

from typing import Annotated

from msgspec import Meta

from mahavishnu.operations.bodies import LOCATIONS, Kept, kept_fields
from mahavishnu.operations.operation import Call
from mahavishnu.operations.record_requests import RecordExecution, RecordMetrics, RecordTurn


class RecordedTurn(Kept, frozen=True, kw_only=True):
    """The memory of the turn."""

    created: Annotated[bool, Meta(description="Whether the session had no such text there yet.")]
    embedded: Annotated[bool, Meta(description="Whether it has its vector, or waits for it.")]


class Recorded(Kept, frozen=True, kw_only=True):
    """The row that holds what was recorded."""


async def record_turn(call: Call, request: RecordTurn) -> RecordedTurn:
    """Record one turn; with another text at the same place, the later text takes its place."""
    stored = await call.app.writes.record_turn(request.turn(source=call.source))
    return RecordedTurn(**kept_fields(stored), created=stored.created, embedded=stored.embedded)


async def record_execution(call: Call, request: RecordExecution) -> Recorded:
    """Record a run of a workflow, or what became of it."""
    return Recorded(**kept_fields(await call.app.writes.record_execution(request.execution())))


async def record_metrics(call: Call, request: RecordMetrics) -> Recorded:
    """Record what was measured of a component; the same again is the same row."""
    identifier = await call.app.records.record_metric(request.metric(), project=request.project)
    return Recorded(id=identifier, locations=LOCATIONS)
