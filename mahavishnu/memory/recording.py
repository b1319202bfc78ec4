"""Record a piece of work as one execution, from its start to its end."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from mahavishnu.base.errors import Unavailable
from mahavishnu.base.identifiers import new_id
from mahavishnu.memory.models import utc_now
from mahavishnu.memory.records import ExecutionStatus, NewExecution, Records
from mahavishnu.memory.spool.writes import Writes


@dataclass(kw_only=True)
class Recording:
    """
    What is recorded when the work ends; the work may set it.

    `status` is that of an end without an exception, and `error` what went wrong then.
    """

    execution_id: str
    status: ExecutionStatus = "completed"
    result: dict[str, Any] | None = None
    error: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


@asynccontextmanager
async def record_run(
    records: Records | Writes,
    workflow_id: str,
    *,
    execution_id: str | None = None,
    adapter: str = "python",
    repositories: Sequence[str] = (),
    project: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    on_unavailable: Callable[[Unavailable], None] | None = None,
) -> AsyncIterator[Recording]:
    """
    Record that the block runs, and how it ended: an exception is a failure, and goes on its way.

    A cancelled block, and one that Ctrl-C ends, was cancelled. The same `execution_id` again is another
    attempt. With `on_unavailable` the block runs also where it cannot be recorded. `app.writes` in the place of
    `app.records` keeps what it is given while the database is away.
    """
    run = Recording(execution_id=execution_id or str(new_id()), metadata=dict(metadata or {}))
    new = NewExecution(
        execution_id=run.execution_id, workflow_id=workflow_id, adapter=adapter, status="running",
        started_at=utc_now(), repositories=tuple(repositories), project=project,
        metadata=run.metadata,
    )  # fmt: skip

    async def record(execution: NewExecution) -> None:
        try:
            await records.record_execution(execution)
        except Unavailable as error:
            if on_unavailable is None:
                raise
            on_unavailable(error)

    await record(new)
    try:
        yield run
    finally:
        raised = sys.exception()
        if raised is not None:
            stopped = isinstance(raised, asyncio.CancelledError | KeyboardInterrupt)
            run.status = "cancelled" if stopped else "failed"
            run.error = None if stopped else f"{type(raised).__name__}: {raised}"
        await record(
            replace(
                new, status=run.status, finished_at=utc_now(), result=run.result, error=run.error,
                metadata=run.metadata,
            )
        )  # fmt: skip
