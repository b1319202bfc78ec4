"""Runs of workflows, found again by the operations of MCP, HTTP and the command line."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mahavishnu.base.errors import NotFound
from mahavishnu.memory.conversations import NewTurn
from mahavishnu.memory.models import NewMemory
from mahavishnu.memory.records import NewExecution
from mahavishnu.operations.operation import Call
from mahavishnu.operations.requests import LEAST_BUDGET
from tests.conftest import World
from tests.integration.test_operations import Caller, refusal
from tests.support.served import app_of

pytestmark = pytest.mark.postgres
STARTED = datetime(2026, 1, 2, 3, tzinfo=UTC)


@pytest.fixture
def ask(world: World, tmp_path: Path) -> Caller:
    return Caller(Call(app_of(world, tmp_path), "tests"))


def run(number: int, **changes: Any) -> NewExecution:
    started = STARTED + timedelta(days=number)
    values: dict[str, Any] = {
        "execution_id": f"run-{number}", "workflow_id": "deploy", "adapter": "prefect",
        "status": "completed", "started_at": started, "finished_at": started + timedelta(seconds=10),
        "repositories": ("shop",), "project": "shop",
    }  # fmt: skip
    return NewExecution(**values | changes)


async def record(world: World) -> None:
    failed = {"status": "failed", "error": "Traceback\nOSError: registry quota exceeded"}
    for each in (
        run(0), run(1, **failed, result={"layers": 3}, repositories=("shop", "no-project")),
        run(2, **failed, repositories=("api",)),
        run(3, workflow_id="backup", status="running", finished_at=None, project=None),
    ):  # fmt: skip
        await world.records.record_execution(each)


async def test_runs_are_listed_narrowed_and_found(ask: Caller, world: World) -> None:
    await record(world)

    async def ids(**wanted: Any) -> list[str]:
        return [e["execution_id"] for e in (await ask("search_workflows", **wanted))["executions"]]

    assert await ids() == ["run-3", "run-2", "run-1", "run-0"]
    assert await ids(limit=1) == ["run-3"]
    for wanted, found in (
        ({"repository": "shop"}, ["run-3", "run-1", "run-0"]), ({"status": "failed"}, ["run-2", "run-1"]),
        ({"workflow_id": "backup"}, ["run-3"]), ({"project": "shop", "repository": "api"}, ["run-2"]),
        ({"adapter": "cron"}, []), ({"since": "2026-01-04", "until": "2026-01-04T12:00Z"}, ["run-2"]),
        ({"query": "quota exceeded", "repository": "shop", "status": "failed"}, ["run-1"]),
        ({"project": "nowhere"}, []),
    ):  # fmt: skip
        assert await ids(**wanted) == found, wanted
    [first, *_] = (await ask("search_workflows", query="quota exceeded"))["executions"]
    assert 0 < first["score"] <= 1 and first["error"] == "OSError: registry quota exceeded"
    assert first["duration_s"] == 10


async def test_what_failed_and_what_was_done_about_it(ask: Caller, world: World) -> None:
    await record(world)
    day = STARTED + timedelta(days=1)
    await world.conversations.record(
        [NewTurn(session_id="s", position=n, role="user", content=text, project="shop", occurred_at=when)
         for n, (text, when) in enumerate((
            ("The registry quota was fine.", STARTED), ("The registry quota is exceeded!", day),
            ("Our lunch was good.", day)))]
    )  # fmt: skip
    commit = NewMemory(
        content="Prune old images: registry quota", source_system="git", commit_id="c0ffee",
        project="shop", occurred_at=day + timedelta(hours=1),
    )  # fmt: skip
    await world.memories.store(commit)
    answer = await ask(
        "search_workflows", query="registry quota", repository="shop", status="failed", with_context=True
    )  # fmt: skip
    [found] = answer["executions"]
    told = [each["content"] for each in found["context"]]
    assert "The registry quota is exceeded!" in told and commit.content in told
    assert "The registry quota was fine." not in told, "it was said before"
    assert [each.get("commit") for each in found["context"]][-1] == "c0ffee"
    lost = run(1, execution_id="lost", status="failed", error="registry quota", repositories=("no-project",),
               project=None)  # fmt: skip
    await world.records.record_execution(lost)
    answer = await ask("search_workflows", repository="no-project", limit=1, with_context=True)
    assert answer["executions"][0]["execution_id"] == "lost"
    assert answer["executions"][0].get("context", []) == [], (
        "what is said elsewhere is not about it"
    )


async def test_many_turns_about_an_error_do_not_hide_what_mended_it(
    ask: Caller, world: World
) -> None:
    await record(world)
    after = STARTED + timedelta(days=1, hours=1)
    await world.conversations.record(
        [NewTurn(session_id="s", position=n, role="user", content=f"registry quota exceeded, deploy {n}",
                 project="shop", occurred_at=after) for n in range(20)]
    )  # fmt: skip
    commits = [
        NewMemory(content=f"Prune images for the quota of the registry, {name}", source_system="git",
                  project=project, occurred_at=when, commit_id=name)
        for name, project, when in (("mend", "shop", after), ("before", "shop", STARTED), ("other", "web", after))
    ]  # fmt: skip
    for each in commits:
        await world.memories.store(each)
    [found] = (await ask("search_workflows", query="registry quota", project="shop", status="failed",
                         repository="no-project", with_context=True))["executions"]  # fmt: skip
    assert [each["commit"] for each in found["context"] if each.get("commit")] == ["mend"]
    assert 0 < sum(each["collection"] == "conversation" for each in found["context"]) < 20
    await world.records.record_execution(run(5, repositories=("nowhere",), project=None))
    [alone] = (await ask("search_workflows", repository="nowhere", with_context=True))["executions"]
    assert not alone.get("context"), "what was said in other projects is not about it"


async def test_one_run_by_any_of_its_ids(ask: Caller, world: World) -> None:
    await record(world)
    whole = await ask("get_execution", id="run-1")
    assert whole["error"].startswith("Traceback") and whole["result"] == {"layers": 3}
    for reference in (whole["id"], whole["id"][-8:], whole["id"].upper()):
        assert await ask("get_execution", id=reference) == whole
    assert await refusal(NotFound, ask("get_execution", id="run-9")) == "execution.not_found"


async def test_workflows_are_counted(ask: Caller, world: World) -> None:
    await record(world)
    deploy, backup = (await ask("workflow_stats"))["workflows"]
    about = {
        name: deploy[name] for name in ("runs", "completed", "failed", "median_s", "last_status")
    }
    assert about == {
        "runs": 3, "completed": 1, "failed": 2, "median_s": 10.0, "last_status": "failed",
    }  # fmt: skip
    assert (backup["running"], backup["median_s"]) == (1, None)
    [only] = (await ask("workflow_stats", since="2026-01-05T12:00Z", limit=1))["workflows"] or [
        None
    ]
    assert only is None


@pytest.mark.parametrize("budget", [LEAST_BUDGET, 4000])
async def test_answers_keep_to_their_budget(ask: Caller, world: World, budget: int) -> None:
    long = "\u00e4\u7bb1" * 100
    for number in range(5):
        await world.records.record_execution(
            run(number, execution_id=f"{long[:190]}{number}", workflow_id=f"{number}{long[:190]}",
                adapter=long, project=long, status="failed", error="e " * 40_000,
                repositories=tuple(f"{n}{long[:190]}" for n in range(100)),
                result={"a": "b" * 100_000}, metadata={"k": long * 20})
        )  # fmt: skip
    answer = await ask("search_workflows", max_tokens=budget)
    assert answer["executions"] and len(answer["executions"]) + answer["omitted"] == 5
    details = await ask("get_execution", id=answer["executions"][0]["id"], max_tokens=budget)
    assert "result" in details["left_out"]
    counts = await ask("workflow_stats", max_tokens=budget)
    assert len(counts["workflows"]) + counts.get("omitted", 0) == 5
