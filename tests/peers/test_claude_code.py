"""
The real Claude Code, which stores a memory through our MCP server and finds it again.

Its model is a stub on the loopback interface that says which tool to use; everything between, the
client's own MCP and its reading of our answers, is the real thing. It sees a home of its own and
nothing else of this machine.
"""

import json
import os
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.peers.node import node_modules
from tests.support.peers.provider_stub import PREFACE, ProviderStub, Use, provider_stub
from tests.support.peers.running import Daemon

pytestmark = pytest.mark.peer

SERVER = "mahavishnu"
STORE, SEARCH = f"mcp__{SERVER}__store_memory", f"mcp__{SERVER}__search"
TRANSPORTS = ["http", "stdio"]
_RUN_TIMEOUT_S = 180


@dataclass(frozen=True)
class Session:
    """One headless run that ended well: its home, its events, and what its model was asked."""

    home: Path
    events: list[dict[str, Any]]
    stub: ProviderStub

    @property
    def began(self) -> dict[str, Any]:
        """What it found when it began: tools, MCP servers and how they are."""
        return next(event for event in self.events if event.get("subtype") == "init")

    @property
    def answer(self) -> str:
        """What it said in the end."""
        result: str = self.events[-1]["result"]
        return result


@pytest.fixture(scope="session")
def claude() -> Path:
    """The native program; one of the packages per platform holds it."""
    found = list(node_modules().glob("@anthropic-ai/claude-code-*/claude"))
    assert len(found) == 1, found
    return found[0]


def configure(transport: str, daemon: Daemon) -> dict[str, Any]:
    """Return the server's entry as `mahavishnu mcp config` gives it; the token is no part of it."""
    words = ("mcp", "config", "--client", "claude-code", "--transport", transport, "--json")
    [setup] = daemon.command(*words).json["clients"]
    told = shlex.split(setup["text"])
    if transport == "http":
        entry: dict[str, Any] = json.loads(told[-1])
        return entry
    place = told.index("--")
    named = [word for word in told[:place] if "=" in word]
    assert named == [f"MAHAVISHNU_HOME={daemon.environ['MAHAVISHNU_HOME']}"]
    return {"command": told[place + 1], "args": told[place + 2 :], "env": daemon.environ}


def run(
    claude: Path, home: Path, daemon: Daemon, transport: str, *script: Use, **environment: str
) -> Session:
    """Run one prompt, with our server as the only one, and the script for a model."""
    work, temporary, config = home / "work", home / "tmp", home / "mcp.json"
    work.mkdir()
    temporary.mkdir()
    config.write_text(json.dumps({"mcpServers": {SERVER: configure(transport, daemon)}}))
    with provider_stub(*script) as (stub, url):
        done = subprocess.run(
            [
                *(claude, "--mcp-config", config, "--strict-mcp-config"),
                *("--allowedTools", f"{STORE},{SEARCH}"),
                *("--output-format", "stream-json", "--verbose", "-p", "Do as the script says."),
            ],
            env={
                "PATH": os.defpath,
                "HOME": str(home),
                "TMPDIR": str(temporary),
                "TERM": "dumb",
                "LANG": "C.UTF-8",
                "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
                "ANTHROPIC_BASE_URL": url,
                "ANTHROPIC_AUTH_TOKEN": "fake",
                **environment,
            },
            cwd=work,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_RUN_TIMEOUT_S,
            check=False,
        )
    assert done.returncode == 0, done
    return Session(home, [json.loads(line) for line in done.stdout.splitlines()], stub)


@pytest.mark.parametrize(
    "transport",
    [
        pytest.param("http", marks=pytest.mark.verifies("Claude Code over HTTP")),
        pytest.param("stdio", marks=pytest.mark.verifies("Claude Code over stdio")),
    ],
)
def test_it_stores_a_memory_and_finds_it(
    claude: Path, tmp_path: Path, daemon: Daemon, transport: str
) -> None:
    fact = f"The kiln of the {transport} pottery fires at 1240 degrees."
    question = f"How hot is the kiln of the {transport} pottery?"
    session = run(
        *(claude, tmp_path, daemon, transport),
        Use(STORE, {"content": fact}),
        Use(SEARCH, {"query": question}),
    )
    [server] = session.began["mcp_servers"]
    assert (server["name"], server["status"]) == (SERVER, "connected")
    stored, found = session.stub.turns[-1].results
    assert not stored[1] and not found[1], (stored, found)
    assert fact in found[0]
    assert session.answer == PREFACE + found[0]
    # It went into the daemon's data, not into a store that only this client sees.
    hits = daemon.command("memory", "search", question, "--json").json["hits"]
    assert fact in [hit["content"] for hit in hits]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_an_open_session_goes_on_after_the_daemon_was_restarted(
    claude: Path, tmp_path: Path, daemon: Daemon, transport: str
) -> None:
    fact = f"The loom of the {transport} weaver has 48 shafts."
    query = {"query": f"shafts of the loom of the {transport} weaver"}
    session = run(
        *(claude, tmp_path, daemon, transport),
        Use(STORE, {"content": fact}),
        Use(SEARCH, query, before=daemon.restart),
        Use(SEARCH, query),
    )
    results = session.stub.turns[-1].results
    assert [failed for _, failed in results] == [False] * 3, results
    assert all(fact in text for text, _ in results[1:])


def test_the_model_is_shown_each_tool_with_a_schema_that_fits(
    claude: Path, tmp_path: Path, daemon: Daemon
) -> None:
    # By default it holds tools of MCP servers back until the model looks for them.
    session = run(claude, tmp_path, daemon, "http", ENABLE_TOOL_SEARCH="false")
    [asked] = session.stub.turns
    shown = {tool["name"]: tool for tool in asked.body["tools"] if SERVER in tool["name"]}
    assert set(shown) == {name for name in session.began["tools"] if SERVER in name}
    for name, arguments in ((STORE, {"content"}), (SEARCH, {"query"})):
        schema = shown[name]["input_schema"]
        assert set(schema["required"]) <= arguments <= set(schema["properties"])
        assert shown[name]["description"]


@pytest.mark.leak
def test_it_wrote_to_its_own_home_and_asked_nobody_but_the_stub(
    claude: Path, tmp_path: Path, daemon: Daemon
) -> None:
    session = run(claude, tmp_path, daemon, "http")
    assert (tmp_path / ".claude.json").exists()
    [transcript] = tmp_path.glob(".claude/projects/*/*.jsonl")
    assert session.answer in transcript.read_text()
    assert {asked.path for asked in session.stub.asked} <= {"/v1/messages", "/api/hello"}
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in written if daemon.token in path.read_text(errors="replace")]
