"""Executions and metrics: rows for SQL, and executions that search finds."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from mahavishnu.base.errors import UsageError
from mahavishnu.memory.models import MemoryFilter
from mahavishnu.memory.recording import record_run
from mahavishnu.memory.records import Metric, NewExecution, spell_duration
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
        {"metadata": [1]},
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
        {"value": None, "unit": None},
        {"unit": None},
        {"figures": {"a": {1}}},
        {"text": ""},
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


async def test_a_sample_of_figures_and_a_text_is_read_back(world: World) -> None:
    sample = Metric(
        source="ollama", name="health", text="healthy", figures={"latency_ms": 12.5, "errors": 0},
        recorded_at=STARTED,
    )  # fmt: skip
    await world.records.record_metric(sample)
    await world.records.record_metric(Metric(source="tests", name="health", value=1, unit="1"))
    assert await world.records.list_metrics(source="ollama") == [sample]
    assert len(await world.records.list_metrics("health")) == 2


async def test_an_execution_that_crashed_is_an_end_with_its_metadata(world: World) -> None:
    await world.records.record_execution(execution())
    crashed = execution(status="crashed", finished_at=STARTED, metadata={"host": "reef"})
    await world.records.record_execution(crashed)
    await world.records.record_execution(execution())  # late
    [row] = await world.records.list_executions()
    assert (row.status, row.metadata) == ("crashed", {"host": "reef"}) and row.created_at
    [memory] = await world.memories.list_memories(MemoryFilter(metadata={"host": "reef"}))
    assert memory.id == row.memory_id and "crashed" in memory.content


async def test_memories_join_with_executions_in_sql(world: World) -> None:
    await world.records.record_execution(
        execution(status="completed", finished_at=STARTED + timedelta(seconds=1))
    )
    async with world.database.connection() as connection, connection.transaction():
        rows = await connection.fetch(
            "SELECT e.adapter, m.content FROM workflow_executions e JOIN memories m ON m.id = e.memory_id"
        )
    assert rows[0]["adapter"] == "prefect" and "completed" in rows[0]["content"]


async def test_names_with_colons_are_kept_apart(world: World) -> None:
    for adapter, name in (("x:y", "z"), ("x", "y:z"), ("x%3Ay", "z")):
        await world.records.record_execution(
            execution(adapter=adapter, execution_id=name, status="completed", finished_at=STARTED)
        )
    rows = await world.records.list_executions()
    memories = [await world.memories.get(row.memory_id) for row in rows if row.memory_id]
    assert len({m.id for m in memories}) == 3 and all(m.superseded_by is None for m in memories)


async def test_a_late_report_undoes_nothing(world: World) -> None:
    end = STARTED + timedelta(minutes=2)
    done = execution(status="completed", finished_at=end, result={"rows": 1})
    identifier = await world.records.record_execution(done)
    [before] = await world.records.list_executions()
    for late in (
        execution(status="running"),
        execution(status="running", started_at=STARTED - timedelta(days=1)),
        execution(status="failed", started_at=STARTED - timedelta(days=1), finished_at=end),
    ):
        assert await world.records.record_execution(late) == identifier
        assert await world.records.list_executions() == [before]
    [memory] = await world.memories.list_memories(MemoryFilter())
    assert memory.id == before.memory_id and "completed" in memory.content


async def test_a_retry_and_another_end_replace_what_was_known(world: World) -> None:
    end = STARTED + timedelta(hours=2)
    await world.records.record_execution(execution(status="failed", finished_at=end, error="full"))
    later = STARTED + timedelta(hours=1)
    retry = execution(started_at=later, workflow_id="weekly")
    await world.records.record_execution(retry)
    [row] = await world.records.list_executions()
    assert (row.status, row.started_at, row.workflow_id) == ("running", later, "weekly")
    assert (row.finished_at, row.error) == (None, None)
    for status in ("failed", "completed"):
        await world.records.record_execution(replace(retry, status=status, finished_at=end))
        [row] = await world.records.list_executions()
        assert (row.status, row.duration) == (status, timedelta(hours=1))
    [memory] = await world.memories.list_memories(MemoryFilter())
    assert row.memory_id == memory.id and "weekly" in memory.content


async def test_what_is_concluded_gives_way_to_what_the_run_said(world: World) -> None:
    end = STARTED + timedelta(minutes=2)
    crashed = execution(status="crashed", finished_at=end + timedelta(minutes=1))
    cancelled = execution(status="cancelled", finished_at=end)
    for report, status in (
        (crashed, "crashed"), (cancelled, "cancelled"), (crashed, "cancelled"),
        (execution(status="completed", finished_at=end + timedelta(seconds=1)), "completed"),
        (execution(status="failed", finished_at=end), "completed"),  # late
    ):  # fmt: skip
        await world.records.record_execution(report)
        [row] = await world.records.list_executions()
        assert row.status == status


async def test_a_run_is_one_sentence_and_one_sample(world: World) -> None:
    done = execution(
        status="failed", finished_at=STARTED + timedelta(minutes=2), repositories=("api", "shop"),
        error="Traceback\n  here\nOSError: disk quota exceeded\n",
    )  # fmt: skip
    for _ in range(2):
        await world.records.record_execution(done)
    [memory] = await world.memories.list_memories(MemoryFilter(metadata={"repositories": ["shop"]}))
    sentence, _, rest = memory.content.partition("\n\n")
    assert sentence == (
        "Workflow nightly (prefect) failed after 2 min 0 s on api, shop: OSError: disk quota exceeded."
    )
    assert rest == done.error
    [sample] = await world.records.list_metrics(source="workflow_nightly")
    assert (sample.value, sample.unit, sample.text) == (120, "s", "failed")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.254, "0.25 s"),
        (9.999, "10 s"),
        (12.4, "12 s"),
        (303, "5 min 3 s"),
        (7500, "2 h 5 min"),
        (262_800, "3 d 1 h"),
    ],
)
def test_durations_are_spelled_out(seconds: float, said: str) -> None:
    assert spell_duration(timedelta(seconds=seconds)) == said


async def test_a_block_is_recorded_from_its_start_to_its_end(world: World) -> None:
    async with record_run(world.records, "report", repositories=["shop"], project="reef") as run:
        [row] = await world.records.list_executions("report")
        assert row.project == "reef"
        assert (row.status, row.adapter, row.repositories) == ("running", "python", ["shop"])
        run.result = {"rows": 3}
    [row] = await world.records.list_executions("report")
    assert (row.status, row.result, row.execution_id) == (
        "completed",
        {"rows": 3},
        run.execution_id,
    )
    for raised, status, error in (
        (OSError("full"), "failed", "OSError: full"),
        (asyncio.CancelledError(), "cancelled", None),
    ):
        with pytest.raises(type(raised)):
            async with record_run(world.records, status):
                raise raised
        [row] = await world.records.list_executions(status)
        assert (row.status, row.error) == (status, error)


async def test_reports_at_once_agree(world: World) -> None:
    done = execution(status="completed", finished_at=STARTED)
    identifiers = await asyncio.gather(
        *(world.records.record_execution(each) for each in (execution(), done) * 8)
    )
    [row] = await world.records.list_executions()
    assert set(identifiers) == {row.id} and row.status == "completed"
