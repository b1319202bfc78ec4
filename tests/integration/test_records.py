"""Executions and metrics: rows for SQL, and executions that search finds."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from mahavishnu.errors import UsageError
from mahavishnu.memory.records import Metric, NewExecution
from mahavishnu.memory.search import SearchRequest
from tests.conftest import World

pytestmark = pytest.mark.postgres
STARTED = datetime(2025, 5, 1, 9, tzinfo=UTC)


def execution(**changes: object) -> NewExecution:
    values: dict[str, object] = {
        "execution_id": "run-1", "workflow_id": "nightly", "adapter": "prefect",
        "status": "running", "started_at": STARTED, "repositories": ("walrus",),
    }  # fmt: skip
    return NewExecution(**(values | changes))  # type: ignore[arg-type]


async def test_an_execution_is_brought_up_to_date_and_then_found(world: World) -> None:
    first = await world.records.record_execution(execution())
    assert (await world.retriever.search(SearchRequest(query="nightly"))).hits == ()
    done = execution(
        status="failed", finished_at=STARTED + timedelta(minutes=2), error="disk quota exceeded"
    )
    assert await world.records.record_execution(done) == first
    [row] = await world.records.list_executions("nightly")
    assert (row.status, row.duration, row.repositories) == (
        "failed", timedelta(minutes=2), ["walrus"],
    )  # fmt: skip
    found = (await world.retriever.search(SearchRequest(query="disk quota nightly"))).hits[0]
    assert found.memory.id == row.memory_id and found.memory.memory_type == "workflow"
    assert found.memory.workflow_id == "nightly"


async def test_impossible_executions_are_refused(world: World) -> None:
    for changes in (
        {"status": "exploded"},
        {"started_at": STARTED.replace(tzinfo=None)},
        {"finished_at": STARTED - timedelta(seconds=1), "status": "failed"},
        {"finished_at": "now"},
        {"execution_id": None},
        {"workflow_id": 7},
        {"adapter": ""},
        {"project": "p" * 201},
        {"result": {1: 2}},
        {"result": [1]},
        {"error": b"bytes", "status": "failed"},
    ):
        with pytest.raises(UsageError):
            await world.records.record_execution(execution(**changes))
    assert await world.records.list_executions() == []


async def test_impossible_measurements_and_questions_are_refused(world: World) -> None:
    metric = Metric(source="tests", name="latency", value=1, unit="ms")
    for changes in (
        {"recorded_at": STARTED.replace(tzinfo=None)},
        {"labels": {"a": {1}}},
        {"value": "much"},
        {"name": None},
    ):
        with pytest.raises(UsageError):
            await world.records.record_metric(replace(metric, **changes))  # type: ignore[arg-type]
    with pytest.raises(UsageError):
        await world.records.list_metrics("latency", since=STARTED.replace(tzinfo=None))
    for limit in (0, -1, 10**30):
        with pytest.raises(UsageError):
            await world.records.list_metrics("latency", limit=limit)
        with pytest.raises(UsageError):
            await world.records.list_executions(limit=limit)


async def test_metrics_are_read_back_newest_first(world: World) -> None:
    for minute in range(3):
        await world.records.record_metric(
            Metric(source="tests", name="latency", value=1.5 * minute, unit="ms",
                   labels={"arm": "text"}, recorded_at=STARTED + timedelta(minutes=minute))
        )  # fmt: skip
    found = await world.records.list_metrics("latency", since=STARTED + timedelta(seconds=30))
    assert [metric.value for metric in found] == [3.0, 1.5]
    assert found[0].labels == {"arm": "text"} and found[0].unit == "ms"


async def test_memories_join_with_executions_in_sql(world: World) -> None:
    await world.records.record_execution(
        execution(status="completed", finished_at=STARTED + timedelta(seconds=1))
    )
    async with world.database.connection() as connection, connection.transaction():
        rows = await connection.fetch(
            "SELECT e.adapter, m.content FROM workflow_executions e JOIN memories m ON m.id = e.memory_id"
        )
    assert rows[0]["adapter"] == "prefect" and "completed" in rows[0]["content"]
