"""What a user pastes into a client: what the client's parser reads back, and no token."""

import json
import shlex
import sys
import tomllib
from pathlib import Path

import pytest

from mahavishnu.ai.clients.mcp import NAME, command
from mahavishnu.ai.clients.mcp_setup import SETUPS, describe_setup

URL = "http://127.0.0.1:8680/mcp"
STDIO = ["mcp", "serve", "--transport", "stdio"]
HOMES = [None, "/plain", "/with space/and \"quotes\" and 'others'/\\back$HOME"]


def places(home: str | None) -> dict[str, str]:
    return {"MAHAVISHNU_HOME": home} if home else {}


@pytest.mark.parametrize("home", HOMES)
def test_over_stdio_each_client_reads_the_command_back(home: str | None) -> None:
    environment = places(home)
    words = shlex.split(describe_setup("claude-code", url=None, places=places(home)).text)
    place = words.index("--")
    assert words[:6] == ["claude", "mcp", "add", "--scope", "user", NAME]
    assert words[place + 1 :] == command() and words[place + 2 :] == STDIO
    given = dict(word.split("=", 1) for word in words[6:place] if word != "--env")
    assert given == environment
    codex = tomllib.loads(describe_setup("codex", url=None, places=places(home)).text)[
        "mcp_servers"
    ][NAME]
    assert [codex["command"], *codex["args"]] == command() and codex.get("env", {}) == environment
    for client in ("qwen", "json"):
        entry = json.loads(describe_setup(client, url=None, places=places(home)).text)[
            "mcpServers"
        ][NAME]
        assert [entry["command"], *entry["args"]] == command()
        assert entry.get("env", {}) == environment


@pytest.mark.parametrize("home", HOMES)
def test_over_http_claude_code_asks_a_command_for_the_token(home: str | None) -> None:
    words = shlex.split(describe_setup("claude-code", url=URL, places=places(home)).text)
    assert words[:-1] == ["claude", "mcp", "add-json", "--scope", "user", NAME]
    entry = json.loads(words[-1])
    asked = shlex.split(entry.pop("headersHelper"))
    assert entry == {"type": "http", "url": URL}
    where = [f"MAHAVISHNU_HOME={home}"] if home else []
    assert asked == [*where, command()[0], "token", "headers"]


def test_over_http_the_token_of_others_stays_in_the_environment() -> None:
    codex = tomllib.loads(describe_setup("codex", url=URL, places={}).text)["mcp_servers"][NAME]
    assert codex == {"url": URL, "bearer_token_env_var": "MAHAVISHNU_TOKEN"}
    header = {"Authorization": "Bearer ${MAHAVISHNU_TOKEN}"}
    qwen = json.loads(describe_setup("qwen", url=URL, places={}).text)["mcpServers"][NAME]
    assert qwen == {"httpUrl": URL, "headers": header}
    plain = json.loads(describe_setup("json", url=URL, places={}).text)["mcpServers"][NAME]
    assert plain == {"type": "http", "url": URL, "headers": header}


def test_each_client_is_told_where_the_text_belongs() -> None:
    for client in SETUPS:
        for url in (None, URL):
            setup = describe_setup(client, url=url, places={})
            assert setup.client == client and setup.how and setup.text
            assert "mv-" not in setup.text
    assert "config.toml" in describe_setup("codex", url=None, places={}).how
    assert "settings.json" in describe_setup("qwen", url=None, places={}).how


def test_the_command_is_the_one_beside_the_running_interpreter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    assert command() == [NAME, *STDIO]
    (tmp_path / NAME).touch()
    assert command() == [str(tmp_path / NAME), *STDIO]


@pytest.mark.parametrize("client", ["codex", "qwen", "json"])
def test_how_the_token_gets_into_the_environment_names_this_memorys_own(client: str) -> None:
    where = {"MAHAVISHNU_HOME": "/a home"}
    how = describe_setup(client, url=URL, places=where).how
    shell = how.partition("after: ")[2]
    asked = shlex.split(shell.partition("$(")[2].rpartition(")")[0])
    assert asked == ["MAHAVISHNU_HOME=/a home", command()[0], "token", "show"]
    assert shell.startswith("export MAHAVISHNU_TOKEN=")
