"""Prefect for real: its server, flows in processes of their own, and what is recorded of them."""

import json
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from tests.peers.conftest import require_peers
from tests.support.command import UNMEASURED, Command
from tests.support.external import free_port
from tests.support.peers.llama_peer import ended
from tests.support.peers.prefect_peer import WAIT_S, Flows, PrefectServer
from tests.support.peers.relay import Relay

pytestmark = [pytest.mark.peer, pytest.mark.postgres]
require_peers("prefect")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    """One for all tests: it takes several seconds to start."""
    server = PrefectServer(f"http://127.0.0.1:{free_port()}", tmp_path_factory.mktemp("prefect"))
    with server.running():
        yield server


@pytest.fixture
def product(tmp_path: Path, place: Callable[[Path], None]) -> Command:
    home = tmp_path / "home"
    home.mkdir()
    made = Command(home, {"MAHAVISHNU_EMBEDDING_PROVIDER": "none", **UNMEASURED})
    place(made.root / "data/postgres")
    return made


@pytest.fixture
def flows(product: Command, server: PrefectServer) -> Flows:
    return Flows(product, server)


def executions(product: Command) -> dict[str, list[dict[str, Any]]]:
    """Return what is recorded, by workflow."""
    found = product.sql("SELECT json_agg(e ORDER BY started_at) FROM workflow_executions_view e")
    by_workflow: dict[str, list[dict[str, Any]]] = {}
    for row in json.loads(found or "null") or []:
        by_workflow.setdefault(row["workflow_id"], []).append(row)
    return by_workflow


def wait_for_status(
    product: Command, workflow: str, status: str, *, runs: int = 1
) -> dict[str, Any]:
    """Wait until all executions of a workflow have the status; the writer outlives the flow."""
    until = time.monotonic() + WAIT_S
    while [each["status"] for each in executions(product).get(workflow, [])] != [status] * runs:
        assert time.monotonic() < until, executions(product)
    return executions(product)[workflow][0]


@pytest.mark.verifies("Prefect, flow runs and events of a server")
def test_a_server_is_followed_also_after_it_was_away(
    flows: Flows, product: Command, server: PrefectServer
) -> None:
    relay = Relay(int(server.url.rpartition(":")[2]))
    words = ("workflow", "record", "--server", f"http://127.0.0.1:{relay.port}")
    assert product(*words, "--json", **server.environ).error["code"] == "prefect.unreachable"
    relay.restore()
    assert flows("untouched", "api").returncode == 1
    done = product(*words, "--project", "web", "--json", **server.environ).json
    assert done["recorded"] == len([row for rows in executions(product).values() for row in rows])
    relay.busy = 1
    follower = product.start(*words, "--follow", environment=server.environ)
    go = product.home / "go"
    with ended(follower), flows.started("untouched", "shop", str(go)) as flow:
        wait_for_line(follower.stdout, "  untouched  running")
        relay.cut()
        wait_for_line(follower.stderr, "does not answer")
        go.touch()
        assert flow.wait(WAIT_S) == 1
        relay.restore()
        wait_for_line(follower.stdout, "  untouched  failed")
    relay.cut()
    assert [(row["status"], row["repos"]) for row in executions(product)["untouched"]] == [
        ("failed", ["api"]), ("failed", ["shop"]),
    ]  # fmt: skip


def wait_for_line(stream: IO[bytes] | None, text: str) -> None:
    assert stream is not None
    assert any(text in line.decode() for line in stream), "the command ended"


@pytest.mark.verifies("Prefect, hooks of flows and tasks")
def test_flows_are_recorded_as_they_ended(flows: Flows, product: Command) -> None:
    done = flows("several")
    assert done.returncode == 0, done.stderr
    recorded = executions(product)
    about = {
        name: [(row["status"], row["repos"], row["result"], row["error_message"]) for row in rows]
        for name, rows in recorded.items()
    }
    assert about == {
        "completes": [("completed", ["api", "shop"], {"rows": 3}, None)],
        "count": [("completed", ["shop"], {"value": rows}, None) for rows in (1, 2)],
        "gives-an-object": [("completed", ["shop"], {"omitted": "dict is not JSON"}, None)],
        "fails": [("failed", ["shop"], None, "OSError: No space left on device")],
        "succeeds-again": [("completed", ["shop"], None, None)],
    }
    assert recorded["succeeds-again"][0]["metadata"]["attempts"] == 2
    [hit] = product("memory", "search", "No space left on device", "--limit", "1", "--json").json[
        "hits"
    ]
    assert "Workflow fails (prefect) failed after" in hit["content"]
    assert hit["content"].endswith(" on shop: OSError: No space left on device.")


def test_a_killed_flow_crashed_and_a_cancelled_one_was_cancelled(
    flows: Flows, product: Command, server: PrefectServer
) -> None:
    with flows.started("serve"):
        assert flows("is_killed").returncode == -signal.SIGKILL
        deployment = deployed(server, "goes-on/served")
        run = server.ask(f"/deployments/{deployment}/create_flow_run", {})["id"]
        server.wait_for_state(run, "RUNNING")
        cancelling = {"state": {"type": "CANCELLING", "name": "Cancelling"}, "force": True}
        server.ask(f"/flow_runs/{run}/set_state", cancelling)
        server.wait_for_state(run, "CANCELLED")
    killed = wait_for_status(product, "is-killed", "crashed")
    assert killed["error_message"].startswith("The process was gone")
    assert wait_for_status(product, "goes-on", "cancelled")["execution_id"] == run


def deployed(server: PrefectServer, name: str) -> str:
    """Wait until a deployment is served, and return its id."""
    until = time.monotonic() + WAIT_S
    while name.partition("/")[0] not in {
        each["name"]
        for each in server.ask("/flows/filter", {"deployments": {"name": {"any_": ["served"]}}})
    }:
        assert time.monotonic() < until
        time.sleep(0.1)
    return str(server.ask(f"/deployments/name/{name}")["id"])


@pytest.fixture
def repositories(product: Command) -> str:
    """Two known repositories, parted by a comma."""
    for name in ("api", "shop"):
        (product.home / name).mkdir()
        assert product("repo", "add", product.home / name).status == 0
    return "api,shop"


def test_prefect_runs_a_command_for_each_repository_and_again(
    product: Command, server: PrefectServer, repositories: str
) -> None:
    words = (
        "workflow",
        "run",
        "tries",
        "--repos",
        repositories,
        "--runner",
        "prefect",
        "--retries",
        "1",
    )
    fails_once = "test -e there || { touch there; echo not yet >&2; exit 3; }; echo done"
    done = product(*words, "--", "sh", "-c", fails_once, **server.environ)
    assert done.status == 0 and "api  | done" in done.out and "shop | not yet" in done.err, done
    about = [(row["repos"], row["status"], row["adapter"]) for row in executions(product)["tries"]]
    assert sorted(about) == [(["api"], "completed", "command"), (["shop"], "completed", "command")]
    [run] = server.ask("/flow_runs/filter", {"flows": {"name": {"any_": ["tries"]}}})
    tasks = server.ask("/task_runs/filter", {"flow_runs": {"id": {"any_": [run["id"]]}}})
    assert {(each["name"], each["run_count"], each["tags"][0]) for each in tasks} == {
        ("api", 2, "repo:api"), ("shop", 2, "repo:shop"),
    }  # fmt: skip
    unnamed = product(*words, "--", "true", **server.environ | {"PREFECT_API_URL": ""})
    assert unnamed.status == 5 and "No Prefect server is named" in unnamed.err


def test_a_deployment_is_started_for_each_repository(
    flows: Flows, product: Command, server: PrefectServer, repositories: str
) -> None:
    words = ("workflow", "run", "--repos", repositories, "--deployment")
    assert product(*words, "checks/nowhere", **server.environ).status == 3
    with flows.started("serve"):
        deployed(server, "checks/served")
        done = product(*words, "checks/served", **server.environ)
        with product.start(*words, "goes-on/served", environment=server.environ) as interrupted:
            wait_for_status(product, "goes-on", "running", runs=2)
            interrupted.send_signal(signal.SIGINT)
            assert interrupted.wait(WAIT_S) == 130
    assert done.status == 1, done
    assert [line.split()[:2] for line in done.out.splitlines()[1:]] == [
        ["api", "completed"], ["shop", "failed"],
    ]  # fmt: skip
    ended = {row["repos"][0]: row["error_message"] for row in executions(product)["checks"]}
    assert ended == {"api": None, "shop": "ValueError: the till is open"}
    assert [row["status"] for row in executions(product)["goes-on"]] == ["cancelled"] * 2


def test_a_recorder_that_cannot_record_leaves_the_flow_alone(
    flows: Flows, product: Command
) -> None:
    product.settings.write_text("postgresql: [")
    done = flows("completes", "api")
    assert done.returncode == 0, done.stderr
