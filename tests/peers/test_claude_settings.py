"""
What the real Claude Code makes of the settings that our commands write, and of those they warn of.

Its model is a stub that says which tool to use: the fence is tried by what it denies.
"""

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mahavishnu.ai.clients.claude_code.own_settings.fence import FENCED_COMMANDS
from mahavishnu.ai.clients.claude_code.schema import EVENTS, KINDS, TEXT, find_faults
from tests.peers.test_claude_code import claude as claude  # the fixture
from tests.support.command import UNMEASURED, Command
from tests.support.peers.provider_stub import ProviderStub, Use, provider_stub

pytestmark = pytest.mark.peer

_RUN_TIMEOUT_S = 180
COMMAND = {"type": "command", "command": "true"}
# Each makes it ignore the whole file, or an entry, or nothing; which, `find_faults` must say.
SETTINGS: list[dict[str, Any]] = [
    {"hooks": {event: [{"matcher": "x", "hooks": [COMMAND]}] for event in EVENTS}},
    {"enabledPlugins": {"a@b": False}, "env": {"X": "1"}, "unknown": 5},
    {"permissions": {"deny": ["Bash(x)", "mcp__a__b"], "allow": ["Read"], "ask": ["Edit"]}},
    {"statusLine": {"type": "command", "command": "date", "padding": 1}},
    {"hooks": {"Stop": [{"hooks": [{**COMMAND, "timeout": 0}]}]}},
    {"hooks": {"PreToolUse": [{"hooks": [{**COMMAND, "timeout": 0}]}]}},
    {"hooks": {"PermissionRequest": [{"matcher": 5, "hooks": []}]}},
    {"hooks": {"NoEvent": []}},
    {"permissions": {"deny": ["bash(x)"]}},
    {"permissions": {"deny": "Bash"}},
    {"enabledPlugins": {"a@b": "x"}},
    {"statusLine": {"type": "command"}},
    {"model": 5},
    {"env": []},
    {"hooks": []},
    {"verbose": "yes"},
    {"permissions": {"defaultMode": 5}},
    {"availableModels": "x"},
    {"cleanupPeriodDays": True},
]


def run(
    claude: Path, home: Path, url: str, *words: str, token: str = "fake"
) -> subprocess.CompletedProcess[str]:
    """Run it headless, with the stub's address in its environment, and a token unless it is empty."""
    temporary = home / "tmp"
    temporary.mkdir(exist_ok=True)
    environment = {
        "PATH": os.defpath,
        "HOME": str(home),
        "TMPDIR": str(temporary),
        "TERM": "dumb",
        "LANG": "C.UTF-8",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "ANTHROPIC_BASE_URL": url,
        "ANTHROPIC_AUTH_TOKEN": token,
    }
    return subprocess.run(
        [claude, *words, "-p", "Do as the script says."],
        env={name: value for name, value in environment.items() if value},
        cwd=home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_RUN_TIMEOUT_S,
        check=False,
    )


def try_commands(claude: Path, home: Path, lines: Sequence[str]) -> dict[str, bool]:
    """Return for each line of a shell whether it was denied; all are allowed but for the settings."""
    uses = [Use("Bash", {"command": line, "description": "try"}) for line in lines]
    with provider_stub(*uses) as (stub, url):
        done = run(claude, home, url, "--allowedTools", "Bash")
        assert done.returncode == 0, done
        return dict(zip(lines, _denials(stub), strict=True))


def _denials(stub: ProviderStub) -> list[bool]:
    return ["has been denied" in text for text, _ in stub.turns[-1].results]


@pytest.fixture
def mahavishnu(tmp_path: Path) -> Command:
    home = tmp_path / "home"
    (home / ".claude").mkdir(parents=True)
    return Command(home, {"MAHAVISHNU_EMBEDDING_PROVIDER": "none", **UNMEASURED})


@pytest.mark.verifies("Claude Code, settings and fence")
def test_the_fence_denies_what_it_should_and_nothing_else(
    claude: Path, mahavishnu: Command
) -> None:
    fenced = [f"mahavishnu {' '.join(words)} x" for words in FENCED_COMMANDS]
    ways = [
        "/opt/x/bin/mahavishnu memory forget x",
        "mahavishnu --set log_level=debug memory forget x",
        "python -m mahavishnu memory forget x",
        "true && mahavishnu memory forget x",
        "A=1 mahavishnu memory forget x",
        'bash -c "mahavishnu memory forget x"',
        "mahavishnu-key env:X --for https://a.example",
    ]
    free = ["mahavishnu memory search forget", "mahavishnu ai permissions list", "echo hello"]
    assert mahavishnu("ai", "permissions", "fence").status == 0
    found = try_commands(claude, mahavishnu.home, [*fenced, *ways, *free])
    assert found == {**dict.fromkeys([*fenced, *ways], True), **dict.fromkeys(free, False)}
    assert mahavishnu("ai", "permissions", "fence", "--remove").status == 0
    assert not any(try_commands(claude, mahavishnu.home, ways[:1]).values())


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda each: json.dumps(each)[:60])
def test_what_it_takes_of_a_file_is_what_we_say(
    claude: Path, mahavishnu: Command, settings: dict[str, Any]
) -> None:
    faults = list(find_faults(settings))
    with provider_stub() as (stub, url):
        whole = dict(settings)
        if isinstance(whole.get("env", {}), dict):
            # Only where the file counts is there a token.
            whole["env"] = {**whole.get("env", {}), "ANTHROPIC_AUTH_TOKEN": "fake"}
        (mahavishnu.home / ".claude/settings.json").write_text(json.dumps(whole))
        done = run(claude, mahavishnu.home, url, token="")
        asked = bool(stub.turns)
    assert asked == (not any(fault.voids_file for fault in faults)), done
    assert ("were skipped" in done.stderr) == (asked and bool(faults)), done


@pytest.mark.parametrize("name", sorted(KINDS))
def test_a_known_name_of_another_kind_voids_its_file(
    claude: Path, mahavishnu: Command, name: str
) -> None:
    wrong = 5 if KINDS[name] == TEXT else "x"
    whole = {"env": {"ANTHROPIC_AUTH_TOKEN": "fake"}, name: wrong}
    with provider_stub() as (stub, url):
        (mahavishnu.home / ".claude/settings.json").write_text(json.dumps(whole))
        run(claude, mahavishnu.home, url, token="")
        assert not stub.turns


@pytest.mark.parametrize("transport", ["stdio", "http"])
def test_it_registers_this_memory_by_its_own_command(
    claude: Path, mahavishnu: Command, transport: str
) -> None:
    environment = {"PATH": os.pathsep.join([str(claude.parent), os.environ["PATH"]])}
    command = replace(mahavishnu, environment={**mahavishnu.environment, **environment})
    state = mahavishnu.home / ".claude.json"
    for scope in ("user", "project"):
        work = mahavishnu.home / f"work in {scope}"
        (work / ".git").mkdir(parents=True)
        words = ("--client", "claude-code", "--scope", scope, "--json")
        install = ("ai", "mcp", "install", "--transport", transport, *words)
        [row] = command(*install, cwd=work).json["clients"]
        assert row["changed"]
        [row] = command(*install, cwd=work).json["clients"]
        assert not row["changed"]
        shown = command("ai", "mcp", "list", "--scope", scope, "--json", cwd=work).json["clients"]
        assert (shown[0]["transport"], shown[0]["current"]) == (transport, True)
        [row] = command("ai", "mcp", "remove", *words, cwd=work).json["clients"]
        assert row["changed"] and '"mahavishnu": {' not in state.read_text()
