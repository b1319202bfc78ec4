"""`mahavishnu ai settings|env|hooks|permissions|statusline|plugins`: the installed command in a clean home."""

import json
import os
import re
import stat
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import Answer, Command

HAND_WRITTEN = """{ "theirs" : [1,2 ,  3],
  "env": {"A":  "1"},
  "permissions": { "deny" : [ "Read(./.env)" ] },
  "hooks": {"Stop": [ {"hooks":[{"type":"command",  "command":"theirs"}]} ]} }
"""
KEY = "sk-canary-0123456789abcdef"


@pytest.fixture
def claude(alone: Command) -> Command:
    """The command in a home where Claude Code was started once."""
    (alone.home / ".claude").mkdir(mode=0o700)
    return alone


def file_of(command: Command) -> Path:
    return command.home / ".claude" / "settings.json"


def says(path: Path) -> Any:
    return json.loads(path.read_bytes())


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def state_of(folder: Path) -> dict[str, tuple[int, int]]:
    """What any write below the folder would change."""
    return {
        str(path): (path.lstat().st_ino, path.lstat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if "mahavishnu" not in path.parts
    }


def keys_of(value: Any) -> Iterator[str]:
    """Yield every key, those inside values too."""
    for each in (
        value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    ):
        yield from keys_of(each)
    yield from value if isinstance(value, dict) else ()


def refused(answer: Answer, code: str, status: int) -> str:
    assert answer.error["code"] == code and answer.status == status, answer
    return f"{answer.error['message']} {answer.error['hint']}"


WRITING = [
    ("env", "set", "X=1"),
    ("env", "unset", "A"),
    ("hooks", "add", "PreToolUse", "true"),
    ("hooks", "remove", "Stop", "theirs"),
    ("permissions", "allow", "Bash(make *)"),
    ("permissions", "deny", "Bash(make *)"),
    ("permissions", "ask", "Bash(make *)"),
    ("permissions", "remove", "Read(./.env)"),
    ("permissions", "fence"),
    ("statusline", "set", "date"),
    ("plugins", "enable", "a@b"),
    ("plugins", "disable", "a@b"),
]
ADD_AND_REMOVE = [
    (("env", "set", "X=1"), ("env", "unset", "X")),
    (("hooks", "add", "Stop", "ours", "--matcher", "x", "--timeout", "5"),
     ("hooks", "remove", "Stop", "ours")),
    (("permissions", "deny", "Bash(rm *)", "Edit"), ("permissions", "remove", "Edit", "Bash(rm *)")),
    (("permissions", "fence"), ("permissions", "fence", "--remove")),
    (("statusline", "set", "date"), ("statusline", "unset")),
]  # fmt: skip


@pytest.mark.parametrize("words", WRITING, ids=" ".join)
def test_each_change_is_made_once_and_a_dry_run_makes_none(
    claude: Command, words: tuple[str, ...]
) -> None:
    path = file_of(claude)
    path.write_text(HAND_WRITTEN)
    before = state_of(claude.home)
    would = claude("ai", *words, "--dry-run", "--json").json
    assert (would["changed"], would["dry_run"]) == (False, True) and would["steps"]
    assert state_of(claude.home) == before
    did = claude("ai", *words, "--json").json
    assert did["changed"] and did["steps"] == would["steps"] and did["path"] == str(path)
    assert did["faults"] == [] and path.read_text() != HAND_WRITTEN
    after = state_of(claude.home)
    again = claude("ai", *words)
    assert again.status == 0 and "says so already" in again.out
    assert claude("ai", *words, "--json").json["steps"] == [] and state_of(claude.home) == after


@pytest.mark.parametrize(("add", "remove"), ADD_AND_REMOVE, ids=lambda words: " ".join(words))
def test_what_is_added_and_removed_leaves_the_same_bytes(
    claude: Command, add: tuple[str, ...], remove: tuple[str, ...]
) -> None:
    path = file_of(claude)
    path.write_text(HAND_WRITTEN)
    path.chmod(0o640)
    path.parent.chmod(0o755)
    added = claude("ai", *add)
    assert added.status == 0
    assert f"Note: Others could use {path} (0640) and {path.parent} (0755): for you" in added.err
    assert (mode_of(path.parent), mode_of(path)) == (0o700, 0o600)
    assert path.read_text().startswith('{ "theirs" : [1,2 ,  3],\n  "env": {"A":  "1"')
    assert claude("ai", *remove).status == 0
    assert path.read_text() == HAND_WRITTEN


def test_new_files_are_private_and_a_link_stays_one(claude: Command) -> None:
    assert claude("ai", "env", "set", "A=1").status == 0
    assert mode_of(file_of(claude)) == 0o600
    kept = claude.home / "dotfiles.json"
    file_of(claude).rename(kept)
    file_of(claude).symlink_to(kept)
    assert claude("ai", "env", "set", "B=2").status == 0
    assert file_of(claude).is_symlink() and says(kept) == {"env": {"A": "1", "B": "2"}}


@pytest.mark.parametrize("scope", ["user", "project"])
def test_a_client_that_is_not_there_is_never_made(alone: Command, scope: str) -> None:
    for words in [*{each[0]: each for each in WRITING}.values(), ("settings", "show")]:
        told = refused(alone("ai", *words, "--scope", scope, "--json"), "ai.client_missing", 3)
        assert "Install it" in told
    assert not (alone.home / ".claude").exists()


def test_a_client_that_is_only_installed_gets_a_private_folder(alone: Command) -> None:
    program = alone.home / "bin" / "claude"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    found = replace(alone, environment={**alone.environment, "PATH": str(program.parent)})
    assert found("ai", "env", "set", "A=1").status == 0
    assert mode_of(alone.home / ".claude") == 0o700 and says(file_of(alone)) == {"env": {"A": "1"}}


def test_a_project_has_a_file_of_its_own(claude: Command) -> None:
    project = claude.home / "work"
    (project / "deep").mkdir(parents=True)
    (project / ".git").mkdir()
    words = ("ai", "permissions", "allow", "Bash(make *)", "--scope", "project")
    assert claude(*words, cwd=project / "deep").status == 0
    path = project / ".claude" / "settings.local.json"
    assert says(path) == {"permissions": {"allow": ["Bash(make *)"]}} and mode_of(path) == 0o600
    assert mode_of(path.parent) == 0o700 and not file_of(claude).exists()
    path.chmod(0o644)
    path.parent.chmod(0o755)
    assert claude("ai", "env", "set", "A=1", "--scope", "project", cwd=project).err == ""
    assert (mode_of(path.parent), mode_of(path)) == (0o755, 0o644), "a project's is shared"
    shown = claude("ai", "permissions", "list", "--scope", "project", "--json", cwd=project).json
    assert shown["permissions"]["allow"] == ["Bash(make *)"] and shown["path"] == str(path)
    refused(claude(*words, "--json"), "ai.no_project", 2)


def test_variables_of_the_provider_are_not_set_here(claude: Command) -> None:
    for words in (
        ("set", f"ANTHROPIC_AUTH_TOKEN={KEY}", "FREE=1"),
        ("unset", "ANTHROPIC_BASE_URL"),
    ):
        answer = claude("ai", "env", *words, "--json")
        told = refused(answer, "claude_settings.owned_variable", 6)
        assert "ai profile edit" in told and "ai switch-llm" in told
        assert KEY not in answer.out + answer.err
    assert not file_of(claude).exists()


def test_keys_are_hidden_wherever_settings_are_shown(claude: Command) -> None:
    set_ = claude("ai", "env", "set", f"GITHUB_TOKEN={KEY}", "PAGER=less")
    assert set_.status == 0 and "Note: GITHUB_TOKEN looks like a key" in set_.err
    hook = f"curl -H 'Authorization: Bearer {KEY}' https://a.example"
    assert claude("ai", "hooks", "add", "Stop", hook).status == 0
    assert claude("ai", "statusline", "set", f"line --key {KEY}").status == 0
    rule = f"Bash(curl -u x:{KEY} *)"
    assert claude("ai", "permissions", "deny", rule).status == 0
    assert KEY in file_of(claude).read_text()
    shown = [set_]
    for words in (
        ("env", "list"), ("hooks", "list"), ("statusline", "show"), ("settings", "show"),
        ("permissions", "list"), ("permissions", "allow", rule),
        ("env", "set", f"GITHUB_TOKEN={KEY}x", "--dry-run"), ("env", "unset", "GITHUB_TOKEN"),
        ("hooks", "remove", "Stop", hook), ("statusline", "unset"),
    ):  # fmt: skip
        shown += [claude("ai", *words, "--json"), claude("ai", *words)]
    assert all(each.status == 0 and KEY not in each.out + each.err for each in shown)
    assert "less" in shown[1].out and "***" in shown[1].out


def test_a_key_in_a_hook_is_noted(claude: Command) -> None:
    command = f"curl -H 'Authorization: Bearer {KEY}' https://x.example"
    said = claude("ai", "hooks", "add", "Stop", command)
    assert said.status == 0 and "seems to hold a key" in said.err and KEY not in said.out + said.err
    assert claude("ai", "hooks", "add", "Stop", command, "--dry-run").err == ""
    assert claude("ai", "hooks", "add", "Stop", "./format.sh").err == ""


@pytest.mark.parametrize("words", [("env",), ("hooks",), ("plugins",), ("permissions",)])
def test_a_list_of_nothing_says_so(claude: Command, words: tuple[str, ...]) -> None:
    said = claude("ai", *words, "list").out
    assert said.startswith(f"{file_of(claude)} has no ")


def test_hooks_have_the_shape_that_claude_code_reads(claude: Command) -> None:
    add = ("ai", "hooks", "add", "PreToolUse", "./check --all")
    assert claude(*add, "--matcher", "Edit|Write", "--timeout", "5").status == 0
    assert says(file_of(claude)) == {
        "hooks": {
            "PreToolUse": [
                {
                    "matcher": "Edit|Write",
                    "hooks": [{"type": "command", "command": "./check --all", "timeout": 5}],
                }
            ]
        }
    }
    [row] = claude("ai", "hooks", "list", "--json").json["hooks"]
    assert row == {"event": "PreToolUse", "matcher": "Edit|Write", "type": "command",
                   "runs": "./check --all", "timeout_s": 5}  # fmt: skip
    before = state_of(claude.home)
    assert "PreToolUse" in refused(
        claude("ai", "hooks", "add", "PreTolUse", "x", "--json"), "claude_settings.event", 2
    )
    refused(claude(*add, "--matcher", "[", "--json"), "claude_settings.matcher", 2)
    refused(claude(*add, "--timeout", "0", "--json"), "claude_settings.timeout", 2)
    assert state_of(claude.home) == before


def test_the_fence_is_told_until_it_is_whole(claude: Command) -> None:
    assert claude("ai", "permissions", "deny", "Bash(*mahavishnu* memory forget*)").status == 0
    told = claude("ai", "permissions", "list", "--json").json
    assert not told["fenced"] and told["not_fenced"]
    assert "rules are missing" in claude("ai", "permissions", "list").out
    assert claude("ai", "permissions", "fence").status == 0
    told = claude("ai", "permissions", "list", "--json").json
    assert told["fenced"] and told["not_fenced"] == []
    assert "mcp__mahavishnu__forget_memory" in told["permissions"]["deny"]
    allowed = claude("ai", "permissions", "allow", "mcp__mahavishnu__forget_memory")
    assert "is on the list deny too" in allowed.err


def test_what_claude_code_would_not_take_is_named(claude: Command) -> None:
    file_of(claude).write_text('{"model": 5, "hooks": {"Foo": []}, "env": {"A": "1"}}')
    shown = claude("ai", "settings", "show", "--json").json
    assert shown["faults"] == [
        {"member": "model", "must_be": "a text", "voids_file": True},
        {"member": "hooks.Foo", "must_be": "named by an event that Claude Code has", "voids_file": False},
    ]  # fmt: skip
    for words in (("settings", "show"), ("env", "set", "B=2")):
        answer = claude("ai", *words)
        assert answer.status == 0 and "ignores the whole file: in" in answer.err
        assert "model must be a text" in answer.err and "ignores that entry" in answer.err


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('{"env": {"A": "1"}, // mine\n}', "document.unreadable"),
        ('{"env": {"A": "1",}}', "document.unreadable"),
        ('{"env": {}, "env": {}}', "document.unreadable"),
        ('\ufeff{"env": {}}', "document.unreadable"),
        ('{"env": {"A": ', "document.torn"),
        ("[]", "document.unreadable"),
        ('{"env": [], "hooks": 5, "permissions": "x", "enabledPlugins": 1, "statusLine": 2}',
         "document.not_an_object"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_changed_safely_is_left_alone(
    claude: Command, text: str, code: str
) -> None:
    path = file_of(claude)
    path.write_bytes(text.encode())
    os.utime(path, (time.time() - 60,) * 2)
    before = state_of(claude.home)
    another_kind = code == "document.not_an_object"
    # There, of nothing is there any to take out; else the file is read in the same way for all.
    adding = [words for words in WRITING if words[1] not in ("unset", "remove")]
    for words in adding if another_kind else WRITING[:2]:
        told = claude("ai", *words, "--json").error
        assert told["code"] == code and str(path) in told["message"], words
        assert "line " in told["message"] and "column " in told["message"]
    assert state_of(claude.home) == before


def test_an_untrusted_project_and_a_client_that_is_switched_off_stop_every_change(
    claude: Command,
) -> None:
    project = claude.home / "cloned"
    (project / "settings").mkdir(parents=True)
    (project / "settings" / "mahavishnu.yaml").write_text(
        "ai_environments:\n  claude_code:\n    enabled: true\n"
    )
    kinds = {words[0]: words for words in WRITING}.values()
    for words in kinds:
        refused(claude("ai", *words, "--json", cwd=project), "settings.untrusted", 6)
    claude.settings.write_text("ai_environments:\n  claude_code:\n    enabled: false\n")
    for words in kinds:
        refused(claude("ai", *words, "--json"), "ai.client_disabled", 2)
    assert not file_of(claude).exists()
    assert claude("ai", "settings", "show", "--json").json["there"] is False


def test_the_file_is_where_the_variable_or_the_settings_say(claude: Command) -> None:
    other = claude.home / "elsewhere"
    other.mkdir()
    moved = {"CLAUDE_CONFIG_DIR": str(other)}
    assert claude("ai", "env", "set", "A=1", **moved).status == 0
    assert says(other / "settings.json") == {"env": {"A": "1"}}
    claude.settings.write_text("ai_environments:\n  claude_code:\n    config_path: ~/mine.json\n")
    assert claude("ai", "env", "set", "B=1").status == 0
    assert says(claude.home / "mine.json") == {"env": {"B": "1"}} and not file_of(claude).exists()


def test_the_keys_of_answers_are_documented(claude: Command) -> None:
    file_of(claude).write_text('{"enabledPlugins": {"a@b": true}, "model": 5, "env": {"A": "1"}}')
    assert claude("ai", "hooks", "add", "Stop", "x").status == 0
    page = (Path(__file__).parents[2] / "docs/reference/json-output.md").read_text("utf-8")
    section = page.partition("## `ai settings`, ")[2].partition("## `ai mcp`")[0]
    documented = set(re.findall(r"`([a-z_]+)`", section))
    theirs = {"enabledPlugins", "a@b", "model", "A", "Stop", "env", "type", "command"}
    for words in (
        ("settings", "show"), ("env", "list"), ("hooks", "list"), ("permissions", "list"),
        ("statusline", "show"), ("plugins", "list"), ("env", "set", "B=1"),
    ):  # fmt: skip
        told = set(keys_of(claude("ai", *words, "--json").json))
        assert told - theirs <= documented, words


def test_nothing_heavy_is_loaded(claude: Command) -> None:
    code = (
        "import sys\n"
        "from mahavishnu.interfaces.cli.root import cli\n"
        "for name in ('settings', 'env', 'hooks', 'permissions', 'statusline', 'plugins', 'mcp'):\n"
        "    group = cli.get_command(None, 'ai').get_command(None, name)\n"
        "    [group.get_command(None, each) for each in group.list_commands(None)]\n"
        "print([m for m in ('sqlalchemy', 'asyncpg', 'httpx', 'rich', 'numpy') if m in sys.modules])"
    )
    python = replace(claude, program=(Path(str(claude.program[0])).with_name("python"), "-c", code))
    assert python().out == "[]\n"
