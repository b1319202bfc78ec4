"""`mahavishnu ai mcp`: this memory in each client, in the way of each; `claude` is played by a script."""

import json
import os
import sys
import tomllib
from dataclasses import replace
from typing import Any

import pytest

from tests.support.command import PROGRAM, Command

# Does with its arguments what Claude Code 2.1.329 was seen to do, and notes them.
CLAUDE = """#!{python}
import json, os, sys
home = os.environ["HOME"]
words = sys.argv[1:]
with open(home + "/asked", "a") as log:
    log.write(json.dumps([os.getcwd(), *words]) + "\\n")
if os.path.exists(home + "/broken"):
    sys.exit("something is wrong here: sk-canary-0123456789abcdef")
assert words[0] == "mcp" and words[2] == "--scope"
verb, scope, name, rest = words[1], words[3], words[4], words[5:]
path = home + "/.claude.json"
state = json.load(open(path)) if os.path.exists(path) else {{}}
place = state
if scope == "local":
    place = state.setdefault("projects", {{}}).setdefault(os.getcwd(), {{}})
servers = place.setdefault("mcpServers", {{}})
if verb == "remove":
    if name not in servers:
        sys.exit("No MCP server named " + name)
    del servers[name]
elif name in servers:
    sys.exit("MCP server " + name + " already exists")
elif verb == "add-json":
    servers[name] = json.loads(rest[0])
else:
    place = rest.index("--")
    env = dict(word.split("=", 1) for word in rest[:place] if word != "--env")
    servers[name] = {{"type": "stdio", "command": rest[place + 1], "args": rest[place + 2:], "env": env}}
with open(path, "w") as out:
    json.dump(state, out)
"""
CODEX = b'# mine\nmodel = "x"\n\n[mcp_servers.other]\ncommand = "y" # keep\n'
QWEN = b'{ "model": {"name":"x"},\n  "mcpServers": {"other": {"command":  "y"}} }\n'
STDIO = ["mcp", "serve", "--transport", "stdio"]
ALL = ("claude-code", "codex", "qwen")


@pytest.fixture
def clients(alone: Command) -> Command:
    """The command in a home with all three clients."""
    home = alone.home
    program = home / "bin" / "claude"
    program.parent.mkdir()
    program.write_text(CLAUDE.format(python=sys.executable))
    program.chmod(0o755)
    for name, content in ((".codex/config.toml", CODEX), (".qwen/settings.json", QWEN)):
        path = home / name
        path.parent.mkdir()
        path.write_bytes(content)
        path.chmod(0o600)
    path_ = os.pathsep.join([str(program.parent), os.environ["PATH"]])
    return replace(
        alone, environment={**alone.environment, "PATH": path_, "MAHAVISHNU_PORT": "8765"}
    )


def asked(command: Command) -> list[list[str]]:
    """Return the folder and the words of every call of `claude`."""
    log = command.home / "asked"
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def entries(command: Command) -> dict[str, Any]:
    """Return what each client's settings say of our server."""
    home = command.home
    claude = home / ".claude.json"
    tables = {
        "claude-code": json.loads(claude.read_bytes())["mcpServers"] if claude.exists() else {},
        "codex": tomllib.loads((home / ".codex/config.toml").read_text()).get("mcp_servers", {}),
        "qwen": json.loads((home / ".qwen/settings.json").read_bytes()).get("mcpServers", {}),
    }
    return {name: each["mahavishnu"] for name, each in tables.items() if "mahavishnu" in each}


def listed(command: Command, *words: str) -> dict[str, Any]:
    rows = command("ai", "mcp", "list", *words, "--json").json["clients"]
    return {row["client"]: (row["transport"], row["current"]) for row in rows}


def test_every_client_is_told_once_and_no_more_after_remove(clients: Command) -> None:
    dry = clients("ai", "mcp", "install", "--dry-run", "--json").json
    assert [row["would_change"] for row in dry["clients"]] == [True] * 3
    assert not any(row["changed"] for row in dry["clients"])
    assert entries(clients) == {} and asked(clients) == []
    qwen = clients.home / ".qwen/settings.json"
    qwen.chmod(0o640)
    answer = clients("ai", "mcp", "install", "--json")
    done = answer.json
    assert f"{qwen} (0640)" in answer.err and qwen.stat().st_mode & 0o777 == 0o600
    assert [(row["client"], row["changed"]) for row in done["clients"]] == [(c, True) for c in ALL]
    found = entries(clients)
    for client in ALL:
        assert [found[client]["command"], *found[client]["args"]] == [str(PROGRAM), *STDIO]
        assert found[client]["env"] == {"MAHAVISHNU_HOME": str(clients.root)}
    assert listed(clients) == dict.fromkeys(ALL, ("stdio", True))
    count = len(asked(clients))
    again = clients("ai", "mcp", "install")
    assert again.out.count("nothing to change") == 3 and len(asked(clients)) == count
    assert clients("ai", "mcp", "remove").out.count(": removed") == 3
    assert entries(clients) == {} and listed(clients) == dict.fromkeys(ALL, (None, None))
    assert (clients.home / ".codex/config.toml").read_bytes() == CODEX
    assert (clients.home / ".qwen/settings.json").read_bytes() == QWEN
    assert clients("ai", "mcp", "remove").out.count("nothing to change") == 3


def test_over_http_no_token_is_written_and_the_shell_line_told(clients: Command) -> None:
    assert clients("ai", "mcp", "install").status == 0
    token = clients("token", "show").out.strip()
    assert token
    done = clients("ai", "mcp", "install", "--transport", "http", "--json").json
    starts = {row["client"]: row["start"] for row in done["clients"]}
    assert starts["claude-code"] is None and all("token show" in starts[c] for c in ALL[1:])
    found = entries(clients)
    url = "http://127.0.0.1:8765/mcp"
    assert found["claude-code"].keys() == {"type", "url", "headersHelper"}
    assert found["codex"] == {"url": url, "bearer_token_env_var": "MAHAVISHNU_TOKEN"}
    assert found["qwen"] == {
        "httpUrl": url,
        "headers": {"Authorization": "Bearer ${MAHAVISHNU_TOKEN}"},
    }
    assert listed(clients) == dict.fromkeys(ALL, ("http", True))
    assert listed(
        replace(clients, environment={**clients.environment, "MAHAVISHNU_PORT": "8766"})
    ) == (dict.fromkeys(ALL, ("http", False)))
    for path in (".claude.json", ".codex/config.toml", ".qwen/settings.json", "asked"):
        assert token not in (clients.home / path).read_text()


def test_claude_code_is_asked_where_the_user_works_for_a_project(clients: Command) -> None:
    project = clients.home / "work"
    project.mkdir()
    words = ("ai", "mcp", "install", "--scope", "project")
    told = clients(*words, cwd=project).out
    assert "claude-code: registered" in told and told.count("unchanged, it has no servers") == 2
    [call] = asked(clients)
    assert call[:5] == [str(project), "mcp", "add", "--scope", "local"]
    assert listed(clients) == dict.fromkeys(ALL, (None, None))
    shown = clients("ai", "mcp", "list", "--scope", "project", "--json", cwd=project).json
    assert [row["registered"] for row in shown["clients"]] == [True]
    error = clients(*words, "--client", "codex", "--json", cwd=project).error
    assert error["code"] == "ai_mcp.no_scope"
    assert clients("ai", "mcp", "remove", "--scope", "project", cwd=project).status == 0
    assert asked(clients)[-1][1:] == ["mcp", "remove", "--scope", "local", "mahavishnu"]


def test_without_the_program_claude_nothing_at_all_is_written(clients: Command) -> None:
    (clients.home / "bin" / "claude").unlink()
    (clients.home / ".claude").mkdir()
    for words in ((), ("--client", "claude-code"), ("--dry-run",)):
        error = clients("ai", "mcp", "install", *words, "--json").error
        assert error["code"] == "ai_mcp.no_program" and "mcp config" in error["hint"]
    assert entries(clients) == {}
    assert clients("ai", "mcp", "install", "--client", "codex").status == 0
    assert list(entries(clients)) == ["codex"]


def test_what_claude_says_is_told_without_keys_and_what_was_there_comes_back(
    clients: Command,
) -> None:
    old = {"type": "stdio", "command": "old", "args": [], "env": {}}
    (clients.home / ".claude.json").write_text(json.dumps({"mcpServers": {"mahavishnu": old}}))
    script = clients.home / "bin" / "claude"
    whole = script.read_text()
    script.write_text(
        whole.replace(
            'elif verb == "add-json":',
            'elif verb == "add":\n    sys.exit("no")\nelif verb == "add-json":',
        )
    )
    words = ("ai", "mcp", "install", "--client", "claude-code")
    error = clients(*words, "--json").error
    assert error["code"] == "ai_mcp.failed" and "no" in error["message"]
    assert entries(clients)["claude-code"] == old
    script.write_text(whole)
    assert clients(*words).status == 0
    assert entries(clients)["claude-code"]["command"] == str(PROGRAM)
    (clients.home / "broken").touch()
    error = clients("ai", "mcp", "remove", "--client", "claude-code", "--json").error
    assert "something is wrong here" in error["message"] and "canary" not in error["message"]


def test_a_client_that_lies_about_success_is_found_out(clients: Command) -> None:
    script = clients.home / "bin" / "claude"
    script.write_text(f"#!{sys.executable}\n")
    error = clients("ai", "mcp", "install", "--client", "claude-code", "--json").error
    assert error["code"] == "ai_mcp.failed" and "does not have the server" in error["message"]


def test_clients_that_are_not_there_or_switched_off_are_named_and_not_made(alone: Command) -> None:
    assert alone("ai", "mcp", "install", "--json").error["code"] == "ai.no_client"
    (alone.home / ".qwen").mkdir(mode=0o700)
    told = alone("ai", "mcp", "install").out
    assert "qwen: registered" in told and told.count("unchanged, it is not there") == 2
    path = alone.home / ".qwen" / "settings.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert sorted(each.name for each in alone.home.iterdir()) == [".qwen", "mahavishnu"]
    for client in ALL[:2]:
        error = alone("ai", "mcp", "install", "--client", client, "--json").error
        assert (error["code"], alone.home.joinpath(".codex").exists()) == (
            "ai.client_missing",
            False,
        )
    alone.settings.write_text("ai_environments:\n  qwen:\n    enabled: false\n")
    error = alone("ai", "mcp", "remove", "--client", "qwen", "--json").error
    assert error["code"] == "ai.client_disabled" and b"mahavishnu" in path.read_bytes()


@pytest.mark.parametrize("broken", [".codex/config.toml", ".qwen/settings.json", ".claude.json"])
def test_one_file_that_cannot_be_read_keeps_all_as_they_are(clients: Command, broken: str) -> None:
    path = clients.home / broken
    path.write_text("{ not = this }\n[")
    os.utime(path, (1, 1))
    kept = {
        name: (clients.home / name).read_bytes()
        for name in (".codex/config.toml", ".qwen/settings.json")
    }
    error = clients("ai", "mcp", "install", "--json").error
    assert str(path) in error["message"] and error["code"] in (
        "document.unreadable",
        "document.torn",
        "ai_mcp.unreadable",
    )
    assert {name: (clients.home / name).read_bytes() for name in kept} == kept
    assert asked(clients) == []


def test_an_untrusted_project_registers_nothing(clients: Command) -> None:
    project = clients.home / "cloned"
    (project / "settings").mkdir(parents=True)
    (project / "settings" / "local.yaml").write_text("secrets:\n  env:\n    prefix: X_\n")
    error = clients("ai", "mcp", "install", "--json", cwd=project).error
    assert error["code"] == "settings.untrusted" and entries(clients) == {}
