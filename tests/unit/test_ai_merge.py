"""The three-way merge of owned members."""

import os
import subprocess
import sys

import pytest

from mahavishnu.ai.foreign_files.documents import ABSENT
from mahavishnu.ai.foreign_files.documents.json_document import JsonDocument
from mahavishnu.ai.foreign_files.merge import Exclude, ExpectedValues, Include, Remove, Set, merge
from tests.support.command import UNMEASURED

URL = ("env", "URL")


def opened(value: str | None = None) -> JsonDocument:
    document = JsonDocument.parse(b'{"theirs": {}, "list": ["x"]}')
    return document if value is None else document.set(URL, value)


@pytest.mark.parametrize(
    ("on_disk", "expected", "foreign"),
    [
        (None, {}, False),  # never ours, not there
        ("user's", {}, False),  # never ours: taken over
        ("last", {URL: "last"}, False),
        ("wanted", {URL: "last"}, False),  # somebody else wants the same
        ("user's", {URL: "last"}, True),
        (None, {URL: "last"}, True),  # taken away by another
        (None, {URL: ABSENT}, False),
        ("user's", {URL: ABSENT}, True),
    ],
)
def test_what_another_program_changed_is_told(
    on_disk: str | None, expected: ExpectedValues, foreign: bool
) -> None:
    document, (effect,) = merge(opened(on_disk), [Set(URL, "wanted")], expected)
    assert effect.foreign == foreign
    assert effect.before == (on_disk or ABSENT) and effect.after == "wanted"
    assert document.get(URL) == "wanted"


def test_a_removal_is_a_change_like_others() -> None:
    _, (effect,) = merge(opened("user's"), [Remove(URL)], {URL: "last"})
    assert effect.foreign and effect.after is ABSENT
    _, (effect,) = merge(opened(), [Remove(URL)], {URL: "last"})
    assert not effect.foreign and effect.before is ABSENT


def test_lists_are_shared_with_the_user() -> None:
    document, effects = merge(
        opened(), [Include(("list",), "y"), Exclude(("list",), "x")], {("list",): ["y"]}
    )
    assert document.get(("list",)) == ["y"]
    assert [(each.before, each.after, each.foreign) for each in effects] == [
        (["x"], ["x", "y"], False),
        (["x", "y"], ["y"], False),
    ]


def test_what_was_made_is_known_and_can_be_taken_back() -> None:
    before = opened()
    changes = [Set(URL, "1"), Set(("env", "KEY"), "2"), Include(("hooks", "Stop"), {"a": 1})]
    document, effects = merge(before, changes, {})
    assert [effect.made for effect in effects] == [("env",), ("env", "KEY"), ("hooks",)]
    undone, _ = merge(
        document,
        [
            Exclude(("hooks", "Stop"), {"a": 1}, effects[2].made),
            Remove(("env", "KEY"), effects[1].made),
            Remove(URL, effects[0].made),
        ],
        {},
    )
    assert undone == before


def test_what_is_there_already_is_made_by_nobody() -> None:
    _, (effect,) = merge(opened("x"), [Set(URL, "y")], {})
    assert effect.made is None


def test_what_is_not_needed_is_not_imported() -> None:
    """A switch that changes JSON reads no TOML, and nothing heavy."""
    heavy = ("tomllib", "asyncio", "asyncpg", "msgspec", "click", "httpx", "yaml")
    code = (
        "import mahavishnu.ai.foreign_files.files, mahavishnu.ai.foreign_files.documents.json_document, sys; "
        f"print([m for m in {heavy!r} if m in sys.modules])"
    )
    bare = os.environ | UNMEASURED  # measuring imports a reader of TOML itself
    done = subprocess.run(
        [sys.executable, "-c", code], env=bare, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
