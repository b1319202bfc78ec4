"""The fence covers our destructive commands and tools: all of those that there are."""

import fnmatch
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from mahavishnu.ai.clients.claude_code.own_settings.fence import (
    FENCED_COMMANDS,
    FENCED_PROGRAMS,
    FENCED_TOOLS,
    fence_rules,
)
from mahavishnu.ai.clients.claude_code.schema import is_rule
from mahavishnu.ai.clients.mcp import NAME
from mahavishnu.interfaces.cli.root import cli
from mahavishnu.operations.table import OPERATIONS

RULES = list(fence_rules(program="mahavishnu", server=NAME))
# Commands that an assistant may run: they read, or add, or can be taken back. Of a group all are meant.
HARMLESS = """
repo, project,
memory store, memory search, memory list, memory show, memory supersede, memory stats, memory embed,
memory import, memory export, memory restore, session record, session list, session show, session search,
workflow record, workflow list, workflow search, workflow show, workflow stats, metrics record, metrics show,
checkpoint, quality, sync status, sync run, sync runs, sync retry, spool status, insight,
alert test, up, status, health, events, pause, resume, mcp, api, token path,
db init, db upgrade, db current, db check, db url, model,
config show, config path, config validate, doctor, ai profile list, ai profile show, ai profile export,
ai auto status, ai list-llms, ai sessions, ai bindings, ai status, ai diff, ai history, ai verify, ai run, ai settings,
ai env list, ai hooks list,
ai permissions list, ai statusline show, ai plugins list, ai mcp list, ai secrets,
backup create, backup list, backup verify, backup drill, service list, service status,
service logs, service start,
gateway serve, gateway status, gateway routes, gateway log, gateway usage
"""
# Fenced before they are there.
COMING = {("ai", "switch-llm"), ("ai", "undo")} | {
    ("ai", "profile", each) for each in ("add", "edit", "remove", "import")
}
COMING_TOOLS = {"switch_llm", "undo_switch"}


def commands(group: click.Group = cli, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the words of every command that there is."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*words, name))
        else:
            yield (*words, name)


def harmless(words: tuple[str, ...]) -> bool:
    named = {tuple(each.split()) for each in HARMLESS.split(",")}
    return any(words[:length] in named for length in range(1, len(words) + 1))


def denied(command: str) -> bool:
    """Tell whether a rule matches, as Claude Code reads the stars of a Bash rule."""
    patterns = [rule[5:-1] for rule in RULES if rule.startswith("Bash(")]
    return any(fnmatch.fnmatchcase(command, pattern) for pattern in patterns)


def test_every_command_is_either_fenced_or_harmless() -> None:
    for words in commands():
        fenced = words in FENCED_COMMANDS
        assert fenced != harmless(words), f"mahavishnu {' '.join(words)}: fence it, or not?"


def test_everything_fenced_is_there() -> None:
    assert set(FENCED_COMMANDS) - set(commands()) <= COMING
    scripts = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))[
        "project"
    ]["scripts"]
    assert set(FENCED_PROGRAMS) <= scripts.keys()


def test_exactly_the_destructive_tools_are_fenced() -> None:
    destructive = {each.name for each in OPERATIONS if each.destructive}
    assert destructive and destructive <= set(FENCED_TOOLS)
    assert set(FENCED_TOOLS) - destructive <= COMING_TOOLS
    for tool in FENCED_TOOLS:
        assert f"mcp__{NAME}__{tool}" in RULES


def test_the_rules_are_such_and_no_two_the_same() -> None:
    assert all(map(is_rule, RULES)) and len(set(RULES)) == len(RULES)
    assert not any(re.search(r"[\[\]?]", rule) for rule in RULES)  # which fnmatch reads otherwise


@pytest.mark.parametrize("words", FENCED_COMMANDS, ids=" ".join)
def test_no_way_of_calling_leads_past_the_fence(words: tuple[str, ...]) -> None:
    line = " ".join(words)
    for called in (
        f"mahavishnu {line}",
        f"mahavishnu {line} abc --yes",
        f"/opt/venv/bin/mahavishnu {line} x",
        f"mahavishnu --set log_level=debug {line} x",
        f"python -m mahavishnu {line}",
        f"uv run mahavishnu {line} --json",
        f"mahavishnu {line} x --purge --yes",
        f'bash -c "mahavishnu {line} x"',
    ):
        assert denied(called), called


def test_harmless_commands_are_not_denied() -> None:
    for words in commands():
        if harmless(words):
            assert not denied(f"mahavishnu {' '.join(words)} --json"), words
    assert not denied("git push") and denied("/bin/mahavishnu-key env:X --for https://a.example")
