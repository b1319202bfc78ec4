"""Turns, executions and metrics, recorded by the operations of MCP and HTTP."""

from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from mahavishnu.base.errors import UsageError
from mahavishnu.operations.operation import Call
from tests.conftest import World
from tests.integration.test_operations import Caller, refusal
from tests.support.served import app_of

pytestmark = pytest.mark.postgres
MOMENT = "2026-01-02T03:04:05+00:00"


@pytest.fixture
def ask(world: World, tmp_path: Path) -> Caller:
    return Caller(Call(app_of(world, tmp_path), "tests"))


async def test_a_turn_is_recorded_with_all_that_belongs_to_it(ask: Caller, world: World) -> None:
    turn = {
        "session_id": "s", "position": 0, "role": "assistant", "content": "The port is",
        "speaker": "Claude", "agent_id": "a", "branch": "main", "model": "m", "profile": "p",
        "metadata": {"tokens": 3}, "occurred_at": MOMENT, "project": "shop",
    }  # fmt: skip
    first = await ask("record_turn", **turn)
    assert first["created"] and first["embedded"]
    assert await ask("record_turn", **turn) == {**first, "created": False}
    later = await ask("record_turn", **(turn | {"content": "The port is 8680."}))
    [read] = await world.conversations.read("s", project="shop")
    assert (read.content, read.memory_id) == ("The port is 8680.", _id(later))
    assert (read.role, read.speaker, read.agent_id) == ("assistant", "Claude", "a")
    assert (read.branch, read.model, read.profile) == ("main", "m", "p")
    assert read.metadata == {"tokens": 3}
    assert read.occurred_at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert (await world.memories.get(read.memory_id)).source_system == "tests"


async def test_an_execution_is_recorded_and_brought_up_to_date(ask: Caller, world: World) -> None:
    run = {"execution_id": "e", "workflow_id": "w", "adapter": "prefect", "started_at": MOMENT}
    first = await ask("record_execution", **run, status="running")
    crashed = {
        **run, "status": "crashed", "finished_at": "2026-01-02T03:05:05+00:00", "error": "gone",
        "repositories": ["reef"], "result": {"rows": 1}, "metadata": {"host": "h"},
    }  # fmt: skip
    for _ in range(2):
        assert await ask("record_execution", **crashed) == first
    [row] = await world.records.list_executions("w")
    assert (row.id, row.status, row.error) == (_id(first), "crashed", "gone")
    assert (row.repositories, row.result, row.metadata) == (["reef"], {"rows": 1}, {"host": "h"})
    [hit] = (await ask("search", query="gone"))["hits"]
    assert hit["workflow_id"] == "w"


async def test_metrics_are_recorded_once_each(ask: Caller, world: World) -> None:
    sample = {
        "component": "ollama", "metric_type": "health", "recorded_at": MOMENT, "text": "healthy",
        "metrics": {"latency_ms": 12.5, "errors": 0}, "metadata": {"host": "h"},
    }  # fmt: skip
    first = await ask("record_metrics", **sample)
    assert await ask("record_metrics", **sample) == first
    assert await ask("record_metrics", **(sample | {"text": "degraded"})) != first
    kept = await world.records.list_metrics("health", source="ollama")
    assert sorted(str(metric.text) for metric in kept) == ["degraded", "healthy"]
    assert kept[0].figures == {"latency_ms": 12.5, "errors": 0} and kept[0].labels == {"host": "h"}


async def test_metrics_without_a_time_are_of_now_each_time(ask: Caller, world: World) -> None:
    before = datetime.now(UTC)
    sample = {"component": "ollama", "metric_type": "health", "text": "healthy"}
    assert await ask("record_metrics", **sample) != await ask("record_metrics", **sample)
    kept = await world.records.list_metrics("health")
    assert len(kept) == 2 and all(before <= each.recorded_at for each in kept)


async def test_times_that_a_repetition_would_move_are_refused(ask: Caller) -> None:
    sample = {"component": "c", "metric_type": "m", "recorded_at": "2h", "text": "healthy"}
    assert await refusal(UsageError, ask("record_metrics", **sample)) == "input.time"
    empty = {"component": "c", "metric_type": "m", "recorded_at": MOMENT}
    assert await refusal(UsageError, ask("record_metrics", **empty)) == "metric.empty"


def _id(answer: dict[str, str]) -> UUID:
    return UUID(answer["id"])
