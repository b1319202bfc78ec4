"""Samples over time: rolled up by the hour without losing or doubling one, and summarized alike before and after."""

import asyncio
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mahavishnu.base.errors import Unavailable, UsageError
from mahavishnu.database.target import Target
from mahavishnu.memory import metrics as module
from mahavishnu.memory.metrics import (
    ComponentSummary,
    Retention,
    Timings,
    count_adapter_runs,
    roll_up,
    summarize_metrics,
)
from mahavishnu.memory.models import NewMemory
from mahavishnu.memory.records import Metric, NewExecution
from mahavishnu.memory.search import SearchRequest
from mahavishnu.operations.components import check_engines
from mahavishnu.operations.operation import Call
from mahavishnu.operations.requests import LEAST_BUDGET
from tests.conftest import OpenWorld, World
from tests.integration.test_operations import Caller
from tests.support.served import app_of

pytestmark = pytest.mark.postgres
BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
LATER = BEGIN + timedelta(days=20)
ALWAYS = timedelta(0)


def sample(minute: int, **changes: Any) -> Metric:
    values: dict[str, Any] = {
        "source": "api", "name": "health", "text": "healthy", "labels": {"host": "h", "minute": minute},
        "figures": {"latency_ms": random.Random(minute).lognormvariate(2, 0.5), "error_count": minute % 2},
        "recorded_at": BEGIN + timedelta(minutes=minute),
    }  # fmt: skip
    return Metric(**(values | changes))


async def record(world: World, samples: Sequence[Metric]) -> None:
    for each in samples:
        await world.records.record_metric(each)


async def settle(world: World, now: datetime = LATER, retention: Retention | None = None) -> None:
    """Roll up as if it were `now`, whenever that was done before."""
    scope = await world.scopes.own_scope("private", None, "execution")
    await roll_up(world.database, scope, retention or Retention(), now=now, every=ALWAYS)


async def summary(world: World, **wanted: Any) -> list[ComponentSummary]:
    return await summarize_metrics(world.database, since=BEGIN - timedelta(days=1), **wanted)


async def rows(world: World) -> list[Any]:
    return await world.database.run(
        lambda c: c.fetch(
            "SELECT component, metrics, metadata, timestamp FROM performance_metrics_view "
            "WHERE metric_type <> 'roll_up' ORDER BY timestamp, component"
        )
    )


async def test_hours_take_the_place_of_samples_and_say_the_same(world: World) -> None:
    await record(world, [sample(minute) for minute in range(180)])
    [before] = await summary(world)
    await settle(world)
    [after] = await summary(world)
    assert [row["timestamp"] for row in await rows(world)] == [
        BEGIN + timedelta(hours=hour) for hour in range(3)
    ]
    assert (after.samples, after.errors, after.state) == (180, 90, "healthy")
    was, now = before.figures["latency_ms"], after.figures["latency_ms"]
    assert (now.count, now.min, now.max) == (was.count, was.min, was.max)
    assert now.median == pytest.approx(was.median, rel=0.1)
    assert now.p95 == pytest.approx(was.p95, rel=0.15)
    assert after.figures["error_count"].total == before.figures["error_count"].total == 90
    await settle(world)
    assert await summary(world) == [after]


async def test_a_row_of_an_hour_reads_as_a_sample(world: World) -> None:
    figures = [{"latency_ms": n, "count": 2, "model": "m"} for n in (5, 1, 3)]
    await record(
        world, [sample(minute, figures=each) for minute, each in enumerate(figures, start=5)]
    )
    await settle(world)
    [row] = await rows(world)
    assert row["metrics"] == {"latency_ms": 3, "count": 6, "model": "m", "text": "healthy"}
    rolled_up = row["metadata"].pop("rolled_up")
    assert len(rolled_up.pop("ids").split()) == 3
    assert rolled_up == {
        "samples": 3, "errors": 0,
        "spread": {
            "latency_ms": {"count": 3, "min": 1, "median": 3, "p95": 5, "max": 5},
            "count": {"count": 3, "min": 2, "median": 2, "p95": 2, "max": 2},
        },
    }  # fmt: skip
    assert row["metadata"] == {"host": "h"}  # what not all have in common is left out
    [summarized] = await summary(world, points=2)
    [point] = summarized.figures["latency_ms"].points
    assert (point.at, point.median) == (BEGIN, 3)


async def test_two_processes_at_once_count_each_sample_once(
    open_world: OpenWorld, world: World
) -> None:
    await record(world, [sample(minute) for minute in range(120)])
    async with open_world() as other:
        await asyncio.gather(*(settle(each) for each in (world, other) * 3))
    [found] = await summary(world)
    assert found.samples == 120 and len(await rows(world)) == 2


async def test_a_sample_that_is_sent_again_is_not_counted_again(world: World) -> None:
    await record(world, [sample(minute) for minute in range(60)])
    await settle(world)
    await record(world, [sample(minute) for minute in range(60)])
    assert len(await rows(world)) == 1
    await record(world, [sample(7, text="late")])  # another one, of the same hour
    await settle(world)
    [found] = await summary(world)
    assert found.samples == 61


async def test_whatever_a_sample_holds_it_is_rolled_up(world: World) -> None:
    odd = [
        {"figures": {"model": "a", "nested": {"a": [1]}}, "text": None},
        {"figures": {}, "text": "starting"},
        {"figures": {"value": 3, "errors": "none"}, "text": None},
        {"figures": {}, "value": 1.5, "unit": "s", "text": "failed"},
        {"figures": {"value": 7, "big": 1e300}, "value": 2.5, "unit": "s", "text": None},
    ]
    await record(world, [sample(minute, **each) for minute, each in enumerate(odd)])
    await settle(world)
    timed, plain = await summary(world)
    assert (plain.samples, plain.unit, plain.state) == (3, None, "starting")
    assert (timed.samples, timed.unit, timed.errors) == (2, "s", 1)
    assert (timed.figures["value"].min, timed.figures["value"].max) == (1.5, 2.5)


async def test_what_is_too_old_goes_and_what_is_new_stays(world: World) -> None:
    await record(world, [sample(0), sample(60 * 24 * 15, text="new")])
    await settle(world, retention=Retention(timedelta(days=7), timedelta(days=18)))
    assert [row["metrics"]["text"] for row in await rows(world)] == ["new"]
    with pytest.raises(UsageError) as caught:
        await world.records.record_metric(sample(0, labels={"rolled_up": {}}))
    assert caught.value.code == "metric.label"


async def test_recording_rolls_up_once_an_hour(
    open_world: OpenWorld, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await record(world, [sample(0), sample(1)])  # the first one noted the time; both are months old
    async with open_world() as other:
        await record(other, [sample(2)])
        assert len(await rows(world)) == 3
    monkeypatch.setattr(module, "MAX_ROLLED_UP", 2)
    await world.database.run(
        lambda c: c.execute("UPDATE performance_metrics SET recorded_at = recorded_at "
                            "- interval '1 hour' WHERE name = 'roll_up'")
    )  # fmt: skip
    async with open_world() as other:
        await record(other, [sample(3)])
    assert len(await rows(world)) == 3  # the first two as one, and the others


async def test_roles_roll_up_their_own(open_world: OpenWorld, bob: Target) -> None:
    async with open_world() as alice, open_world(at=bob) as other:
        await record(alice, [sample(minute) for minute in range(3)])
        await alice.database.run(
            lambda c: c.execute("UPDATE scopes SET visibility = 'shared'")
        )  # then both see them
        await settle(other)
        assert len(await rows(alice)) == len(await rows(other)) == 3
        await settle(alice)
        [found] = await summary(other)
        assert found.samples == 3 and len(await rows(other)) == 1
        await alice.database.run(lambda c: c.execute("UPDATE scopes SET visibility = 'private'"))
        assert await rows(other) == []


async def test_runs_of_engines_are_counted_by_how_they_ended(world: World, tmp_path: Path) -> None:
    for number, status in enumerate(("completed", "failed")):
        begin = BEGIN + timedelta(hours=number)
        await world.records.record_execution(
            NewExecution(execution_id=f"e{number}", workflow_id="w", adapter="prefect", status=status,
                         started_at=begin, finished_at=begin + timedelta(minutes=number + 1))  # type: ignore[arg-type]
        )  # fmt: skip
    [found] = await count_adapter_runs(world.database, since=BEGIN)
    assert (found.adapter, found.runs, found.errors, found.last_status) == ("prefect", 2, 1, "failed")  # fmt: skip
    app = app_of(world, tmp_path)
    ask = Caller(Call(app, "tests"))
    answer = await ask("show_metrics", since="2026-01-01")
    [run] = answer["components"]
    assert (run["component"], run["samples"], run["errors"]) == ("workflow_w", 2, 1)
    assert (run["unit"], run["figures"]["value"]["median"], run["state"]) == ("s", 60, "failed")
    states = {each["adapter"]: each["state"] for each in answer["adapters"]}
    assert set(states) == {"prefect", "agno", "llamaindex"}
    assert states["prefect"] in ("unhealthy", "not installed")
    assert await check_engines(app) == []  # these runs were long ago
    for status, health in (("failed", "degraded"), ("completed", "healthy")):
        await world.records.record_execution(
            NewExecution(execution_id=status, workflow_id="w", adapter="prefect", status=status,
                         started_at=datetime.now(UTC))  # type: ignore[arg-type]
        )  # fmt: skip
        [engine] = await check_engines(app)
        assert (engine.name, engine.status) == ("engine:prefect", health)
    await record(world, [sample(0, source="s" * 200, figures=dict.fromkeys(map(str, range(9)), 1))])
    cut = await ask("show_metrics", since="2026-01-01", max_tokens=LEAST_BUDGET)
    assert (cut["components"], cut["omitted"]) == ([], 2)


async def test_searches_and_the_embedding_are_timed(world: World) -> None:
    await world.memories.store_batch([NewMemory(content="A kettle."), NewMemory(content="A cup.")])
    for _ in range(3):
        await world.retriever.search(SearchRequest(query="kettle"))
    with pytest.raises(UsageError):
        await world.retriever.search(SearchRequest(query=""))
    searched, embedded = world.retriever.timings.take(), world.space.timings.take()
    assert searched is not None and (searched["count"], searched["error_count"]) == (3, 0)
    assert embedded is not None and embedded["count"] == 2 + 3


def test_timings_are_medians_and_counts_since_they_were_taken() -> None:
    timings = Timings("search")
    assert timings.take() is None
    with timings.timed(3):
        pass
    with pytest.raises(Unavailable), timings.timed():
        raise Unavailable("away", code="tests.away")
    with pytest.raises(UsageError), timings.timed():
        raise UsageError("no question", code="tests.question")
    figures = timings.take()
    assert figures is not None and (figures["count"], figures["error_count"]) == (4, 1)
    assert 0 <= figures["latency_ms"] <= figures["max_ms"]
    assert timings.take() is None
