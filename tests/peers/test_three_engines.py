"""What failed, and what was done about it: Prefect, Agno, LlamaIndex and git for real, joined in one answer."""

import asyncio
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.peers.conftest import require_peers
from tests.support.command import UNMEASURED, Command
from tests.support.external import free_port
from tests.support.ingesting import commit, git, write
from tests.support.peers.prefect_peer import PrefectServer
from tests.support.peers.provider_stub import provider_stub

pytestmark = [pytest.mark.peer, pytest.mark.postgres]
require_peers("prefect", "agno", "openai", "llama_index", "tree_sitter")

FLOW = """
import sys
sys.path.insert(0, "shop")
from prefect import flow
from mahavishnu.engines.prefect import Recorder
from prices import total

recorder = Recorder(repositories=["shop"], wait_at_exit_s=30)


@flow(**recorder.flow_hooks)
def nightly_totals():
    return {"total": total([])}


nightly_totals()
"""
AGENT = """
import sys
from agno.agent import Agent
from agno.db.in_memory import InMemoryDb
from agno.models.openai.like import OpenAILike
from mahavishnu.engines.agno import AgentMemory

with AgentMemory(project="shop") as memory:
    model = OpenAILike(id="fake-1", base_url=sys.argv[1], api_key="sk-fake")
    scout = Agent(id="scout", name="Scout", model=model, db=memory.recorded(InMemoryDb()), telemetry=False)
    scout.run(sys.argv[2], session_id="chat-1", user_id="ana")
"""
BROKEN = "def total(prices):\n    return sum(prices) / len(prices) * len(prices)\n"
MENDED = "def total(prices):\n    return sum(prices)\n"
ERROR = "ZeroDivisionError: division by zero"
MENDING = "Return 0 for no prices: no division by zero in nightly totals"
ASKED = "Why did nightly-totals fail with a division by zero?"


@pytest.fixture
def product(tmp_path: Path, place: Callable[[Path], None]) -> Command:
    home = tmp_path / "home"
    home.mkdir()
    made = Command(home, {"MAHAVISHNU_EMBEDDING_PROVIDER": "none", **UNMEASURED})
    place(made.root / "data/postgres")
    return made


async def test_what_failed_and_what_was_done_about_it(product: Command, tmp_path: Path) -> None:
    shop = product.home / "shop"
    write(shop, prices_py=BROKEN)
    commit(shop)
    for words in (
        ("memory", "import", "git", str(shop)),
        ("repo", "add", str(shop)),
        ("repo", "ingest", "shop"),
    ):
        assert (done := product(*words)).status == 0, done
    server = PrefectServer(f"http://127.0.0.1:{free_port()}", tmp_path / "prefect")
    server.home.mkdir()
    with server.running():
        failed = execute(product, FLOW, **server.environ)
        assert failed.returncode == 1 and ERROR in failed.stderr
    with provider_stub() as (_, url):
        talked = await asyncio.to_thread(execute, product, AGENT, f"{url}/v1", ASKED)
        assert talked.returncode == 0, talked.stderr
    write(shop, prices_py=MENDED)
    commit(shop)
    git(shop, "commit", "-q", "--amend", "-m", MENDING)
    mending = git(shop, "rev-parse", "HEAD")
    assert product("memory", "import", "git", str(shop)).status == 0

    words = (
        "workflow",
        "search",
        "what failed?",
        "--repo",
        "shop",
        "--since",
        "7d",
        "--with-context",
    )
    [run] = product(*words, "--json").json["executions"]
    assert (run["workflow_id"], run["status"], run["error"]) == ("nightly-totals", "failed", ERROR)
    about = [
        (each.get("session_id"), each.get("commit"), each["content"]) for each in run["context"]
    ]
    assert about[0] == ("chat-1", None, ASKED)
    assert [sha for _, sha, _ in about if sha] == [mending], "the commit before it mended nothing"
    told = product(*words).out
    assert ERROR in told and "session chat-1, ana: " + ASKED in told
    assert f"commit {mending[:10]}, t: {MENDING}  [" in told
    [code] = product("repo", "query", "total of prices", "--repo", "shop", "--json").json["hits"][
        :1
    ]
    assert (code["path"], code["start_line"]) == ("prices.py", 1)


def execute(
    product: Command, program: str, *words: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program, *words],
        env=product.environ(environment | {"PYTHONDONTWRITEBYTECODE": "1"}),
        cwd=product.home, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
