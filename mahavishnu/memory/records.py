"""Workflow executions and performance metrics: rows for SQL; executions are found as memories too."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, get_args
from uuid import UUID

import msgspec

from mahavishnu.base.durations import spell_duration
from mahavishnu.base.errors import MahavishnuError, UsageError
from mahavishnu.base.identifiers import derive_id, new_id
from mahavishnu.base.logs import get_logger
from mahavishnu.database.pool import Database
from mahavishnu.database.queries import load_queries
from mahavishnu.memory.checks import (
    MAX_NAME_LENGTH,
    check_length,
    check_limit,
    check_metadata,
    check_moment,
    check_name,
    check_number,
    check_text,
    unknown_value,
    wrong_type,
)
from mahavishnu.memory.metrics import ROLL_UP_EVERY, ROLLED_UP, Retention, roll_up
from mahavishnu.memory.models import MAX_CONTENT_BYTES, NewMemory, check_new_memory, utc_now
from mahavishnu.memory.scoping import Scopes
from mahavishnu.memory.store import MemoryStore

type ExecutionStatus = Literal["pending", "running", "completed", "failed", "cancelled", "crashed"]
STATUSES: tuple[str, ...] = get_args(ExecutionStatus.__value__)
FINAL = frozenset({"completed", "failed", "cancelled", "crashed"})
MAX_ERROR_CHARACTERS = 100_000  # of an error in the memory; the execution's row keeps all of it
MAX_ERROR_LINE = 500  # characters of its last line in the sentence
MAX_SOUGHT_REPOSITORIES = 100  # by which the memory is found; its text and the row name all
MAX_METRIC_TEXT = 1_000
_QUERIES = load_queries("records")
_log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewExecution:
    """
    One run of a workflow; `execution_id` names it within its adapter and project.

    `started_at` tells the attempts of one run apart: a retry starts later. "crashed" is the end of
    one whose process was gone before it could say how it ended. `id` is that of its row, where the
    caller makes it and the execution is new.
    """

    execution_id: str
    workflow_id: str
    adapter: str
    status: ExecutionStatus
    started_at: datetime
    finished_at: datetime | None = None
    repositories: tuple[str, ...] = ()
    result: Mapping[str, Any] | None = None
    error: str | None = None
    project: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """
    A recorded execution; `duration` is None while it runs.

    `project` is a name, where the caller may see it.
    """

    id: UUID
    execution_id: str
    workflow_id: str
    adapter: str
    repositories: list[str]
    status: str
    result: dict[str, Any] | None
    error: str | None
    started_at: datetime
    finished_at: datetime | None
    duration: timedelta | None
    memory_id: UUID | None
    metadata: dict[str, Any]
    created_at: datetime
    project: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownExecution:
    """What is known of an execution by the adapter it ran in."""

    execution_id: str
    project: str | None
    status: str
    finished_at: datetime | None
    repositories: list[str]
    result: dict[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """
    What was measured at one moment: one `value`, several `figures`, a `text` such as "healthy".

    `source` is the component it is about, `name` the type of measurement. `unit` says what `value`
    counts ("ms", "bytes", "1") and goes with it.
    """

    source: str
    name: str
    value: float | None = None
    unit: str | None = None
    figures: Mapping[str, Any] = field(default_factory=dict)
    text: str | None = None
    labels: Mapping[str, Any] = field(default_factory=dict)
    recorded_at: datetime = field(default_factory=utc_now)


class Records:
    """Keeps executions and metrics."""

    def __init__(
        self,
        database: Database,
        memories: MemoryStore,
        scopes: Scopes,
        retention: Retention = Retention(),  # noqa: B008 - frozen
    ) -> None:
        self._database = database
        self._memories = memories
        self._scopes = scopes
        self._retention = retention
        self._roll_up_at = 0.0  # by the monotonic clock; other processes may be earlier

    async def record_execution(self, new: NewExecution, *, embed: bool = True) -> UUID:
        """
        Store an execution or bring it up to date; a finished one becomes a memory that search finds.

        A report replaces all that was known of the execution, its workflow and start too, but for
        one that comes late: what has finished gives way to a report of a later start (a retry), and
        to another end of the same start that is not an earlier one. "crashed" is concluded from
        outside: it replaces no other end of its start, and gives way to each.

        An execution has one live memory: one that ends again supersedes it. Its duration is a metric
        of the component `workflow_<id>`.

        Returns:
            The id of the execution's row, also where the report came late and changed nothing.
        """
        memory = check_execution(new)
        scope = await self._scopes.place(memory)
        row = None
        while row is None:  # no row: another writer made it after our snapshot; look again
            row = await self._database.run(
                lambda c: c.fetchrow(
                    _QUERIES["put_execution"], new.id or new_id(), scope, new.execution_id,
                    new.workflow_id, new.adapter, list(new.repositories), new.status, new.result, new.error,
                    new.started_at, sorted(FINAL), new.finished_at, new.metadata,
                )
            )  # fmt: skip
        identifier: UUID = row["id"]
        if row["noted"] and new.status in FINAL:
            [stored] = await self._memories.store_batch([memory], embed=embed, superseding=True)
            await self._database.run(
                lambda c: c.execute(_QUERIES["link_execution"], identifier, stored.id)
            )
            if new.finished_at is not None:
                await self.record_metric(_sample_of(new), project=new.project)
        return identifier

    async def list_executions(
        self, workflow_id: str | None = None, *, limit: int = 20
    ) -> list[Execution]:
        """Return executions, newest first."""
        check_limit(limit)
        rows = await self._database.run(
            lambda c: c.fetch(_QUERIES["find_executions"], workflow_id, *[None] * 7, limit)
        )
        return [Execution(**row) for row in rows]

    async def find_known(
        self, adapter: str, execution_ids: Sequence[str]
    ) -> dict[str, KnownExecution]:
        """Return one's own executions of an adapter by their ids in it, in whichever project they are."""
        rows = await self._database.run(
            lambda c: c.fetch(_QUERIES["find_known_executions"], adapter, list(execution_ids))
        )
        return {row["execution_id"]: KnownExecution(**row) for row in rows}

    async def record_metric(self, metric: Metric, *, project: str | None = None) -> UUID:
        """
        Store a measurement or a sample and return its id; the same one again is the same row.

        Once an hour old samples are rolled up first; one that is counted in the row of its hour is
        not stored again.
        """
        check_metric(metric, project=project)
        await self._roll_up()
        scope = await self._scopes.place(
            NewMemory(content="-", collection="execution", project=project)
        )
        said = msgspec.json.encode(
            [metric.value, metric.unit, metric.figures, metric.text, metric.labels], order="sorted"
        )
        identifier = derive_id(
            metric.recorded_at, str(scope), metric.source, metric.name, said.decode()
        )
        await self._database.run(
            lambda c: c.execute(
                _QUERIES["add_metric"], identifier, scope, metric.source, metric.name, metric.value,
                metric.unit, metric.labels, metric.recorded_at, metric.figures, metric.text,
            )
        )  # fmt: skip
        return identifier

    async def _roll_up(self) -> None:
        if time.monotonic() < self._roll_up_at:
            return
        self._roll_up_at = time.monotonic() + ROLL_UP_EVERY.total_seconds()
        scope = await self._scopes.own_scope("private", None, "execution")
        try:
            await roll_up(self._database, scope, self._retention)
        except MahavishnuError as error:  # what is to be recorded comes first
            _log.warning("metrics_not_rolled_up", code=error.code, reason=error.message)

    async def list_metrics(
        self,
        name: str | None = None,
        *,
        source: str | None = None,
        since: datetime | None = None,
        limit: int = 100,
    ) -> list[Metric]:
        """Return what was measured, newest first; `name` and `source` narrow."""
        check_moment(since, what="since")
        check_limit(limit)
        rows = await self._database.run(
            lambda c: c.fetch(_QUERIES["list_metrics"], name, since, limit, source)
        )
        return [Metric(**row) for row in rows]


def check_metric(metric: Metric, *, project: str | None = None) -> None:
    """Refuse what cannot be recorded as it is."""
    for name in ("source", "name"):
        check_name(getattr(metric, name), what=name)
    if metric.value is None and metric.text is None and not metric.figures:
        raise UsageError(
            "A metric needs a value, figures or a text.",
            hint="Pass at least one of them.",
            code="metric.empty",
        )
    if (metric.value is None) != (metric.unit is None):
        raise UsageError(
            "The value and the unit of a metric go together.",
            hint='Pass both; the unit of a plain count is "1".',
            code="metric.unit",
        )
    if metric.value is not None:
        check_number(metric.value, what="value")
        check_name(metric.unit or "", what="unit")
    if metric.text is not None:
        check_length(metric.text, what="text", at_most=MAX_METRIC_TEXT)
    check_moment(metric.recorded_at, what="recorded_at")
    check_metadata(metric.labels, what="labels")
    if ROLLED_UP in metric.labels:
        raise UsageError(
            f"The label {ROLLED_UP!r} is for rows that stand for several samples.",
            hint="Choose another name.",
            code="metric.label",
        )
    check_metadata(metric.figures, what="figures")
    if project is not None:
        check_name(project, what="project")


def check_execution(new: NewExecution) -> NewMemory:
    """Refuse what cannot be recorded as it is; returns the memory of it."""
    if new.status not in STATUSES:
        raise unknown_value("status", new.status, STATUSES)
    for name in ("execution_id", "workflow_id", "adapter"):
        check_name(getattr(new, name), what=name)
    if new.started_at is None:
        raise wrong_type("started_at", "a datetime", None)
    check_moment(new.started_at, what="started_at")
    check_moment(new.finished_at, what="finished_at")
    if new.finished_at is not None and new.finished_at < new.started_at:
        raise UsageError(
            "An execution cannot finish before it started.",
            hint="Are the two times of one clock and zone?",
            code="execution.order",
        )
    if not isinstance(new.repositories, tuple | list):
        raise wrong_type("repositories", "a tuple of texts", new.repositories)
    for repository in new.repositories:
        check_text(repository, what="repository")
    if new.error is not None:
        check_text(new.error, what="error")
    check_metadata(new.metadata)
    if new.result is not None:
        check_metadata(new.result, what="result", at_most=MAX_CONTENT_BYTES)
    return check_new_memory(_memory_of(new))


def _key_of(new: NewExecution) -> str:
    """Return a key that no other adapter's execution has, whatever colons the names hold."""
    adapter = new.adapter.replace("%", "%25").replace(":", "%3A")
    return f"{adapter}:{new.execution_id}"


def _sample_of(new: NewExecution) -> Metric:
    """Return how long an execution took and how it ended, as a sample of its workflow."""
    assert new.finished_at is not None
    return Metric(
        source=f"workflow_{new.workflow_id}"[:MAX_NAME_LENGTH],
        name="run",
        value=(new.finished_at - new.started_at).total_seconds(),
        unit="s",
        text=new.status,
        labels={"adapter": new.adapter, "execution_id": new.execution_id},
        recorded_at=new.finished_at,
    )


def _memory_of(new: NewExecution) -> NewMemory:
    about = {
        "status": new.status,
        "execution_id": new.execution_id,
        "repositories": list(new.repositories[:MAX_SOUGHT_REPOSITORIES]),
    }
    return NewMemory(
        content=describe(new),
        collection="execution",
        source_system=new.adapter,
        source_key=_key_of(new),
        workflow_id=new.workflow_id,
        repo_id=new.repositories[0] if len(new.repositories) == 1 else None,
        project=new.project,
        occurred_at=new.finished_at or new.started_at,
        metadata={**new.metadata, **about},
    )


def describe(new: NewExecution) -> str:
    """Return a sentence: what ran, where, how it ended, after how long, the error's last line; then the error."""
    ended = f"was {new.status}" if new.status == "cancelled" else new.status
    said = f"Workflow {new.workflow_id} ({new.adapter}) {ended}"
    if new.finished_at is not None:
        said += f" after {spell_duration(new.finished_at - new.started_at)}"
    if new.repositories:
        said += f" on {', '.join(new.repositories)}"
    lines = [line.strip() for line in (new.error or "").splitlines() if line.strip()]
    if not lines:
        return f"{said}."
    said += f": {lines[-1][:MAX_ERROR_LINE].rstrip('.')}."
    whole = len(lines) == 1 and len(lines[0]) <= MAX_ERROR_LINE
    return said if whole or not new.error else f"{said}\n\n{new.error[:MAX_ERROR_CHARACTERS]}"
