"""Claude Code's settings are changed as planned also where somebody writes between plan and change."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mahavishnu.ai.clients.claude_code.own_settings.file import Plan, carry_out
from mahavishnu.ai.clients.claude_code.own_settings.hooks import add_hook, remove_hook
from mahavishnu.ai.clients.hook_entries import Hook
from mahavishnu.ai.foreign_files.documents import Document
from mahavishnu.ai.foreign_files.merge import Change, Set
from mahavishnu.base.errors import MahavishnuError
from tests.support.ai_files import QUICK, settings_file


def entry(matcher: str, *commands: str) -> dict[str, Any]:
    return {
        "matcher": matcher,
        "hooks": [{"type": "command", "command": each} for each in commands],
    }


def hooks(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"hooks": {"Stop": list(entries)}}


THEIRS, MIXED = entry("A", "theirs"), entry("B", "ours", "other")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "client" / "settings.json"
    found.parent.mkdir()
    return found


def meanwhile(path: Path, plan: Plan, *contents: Any) -> Plan:
    """Return a plan behind whose back the file becomes one content after the other."""
    left = list(contents)

    def planned(document: Document) -> list[Change]:
        changes = plan(document)
        if left:
            path.write_text(json.dumps(left.pop(0)))
        return changes

    return planned


def remove(document: Document) -> list[Change]:
    return remove_hook(document, "Stop", "ours")


@pytest.mark.parametrize(
    ("content", "left"),
    [
        (hooks(THEIRS, MIXED), hooks(THEIRS, entry("B", "other"))),  # moved
        (hooks(entry("B", "ours"), THEIRS), hooks(entry("B"), THEIRS)),  # alone now
        ({"hooks": {"Stop": []}}, {"hooks": {"Stop": []}}),  # gone
        ({}, {}),
    ],
)
def test_what_moved_meanwhile_is_found_again(
    path: Path, content: dict[str, Any], left: dict[str, Any]
) -> None:
    path.write_text(json.dumps(hooks(MIXED)))
    carry_out(settings_file(path, QUICK), meanwhile(path, remove, content), dry_run=False)
    assert json.loads(path.read_bytes()) == left


def test_both_are_there_where_another_adds_too(path: Path) -> None:
    def add(document: Document) -> list[Change]:
        return add_hook(document, Hook("Stop", "ours"))

    ours = {"hooks": [{"type": "command", "command": "ours"}]}
    file = settings_file(path, QUICK)
    done = carry_out(file, meanwhile(path, add, hooks(THEIRS)), dry_run=False)
    assert json.loads(path.read_bytes()) == hooks(THEIRS, ours)
    assert [step.action for step in done.steps] == ["add"]


def test_who_never_stops_is_told(path: Path) -> None:
    count = [0]

    def endless(_: Document) -> list[Change]:
        count[0] += 1
        return [Set(("count",), count[0])]

    with pytest.raises(MahavishnuError) as caught:
        carry_out(settings_file(path, QUICK), endless, dry_run=False)
    assert (caught.value.code, caught.value.exit_code) == ("ai_files.busy", 5)


@pytest.mark.parametrize("dry_run", [False, True])
def test_what_stands_in_the_way_is_told_with_the_file(path: Path, dry_run: bool) -> None:
    path.write_text('{"env": []}')
    plan: Callable[[Document], list[Change]] = lambda _: [Set(("env", "A"), "1")]  # noqa: E731
    with pytest.raises(MahavishnuError) as caught:
        carry_out(settings_file(path, QUICK), plan, dry_run=dry_run)
    assert caught.value.code == "document.not_an_object" and str(path) in caught.value.message
