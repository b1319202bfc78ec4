"""The page of the plan's promises counts right, and names only what is there."""

import re
import shlex
from collections import Counter
from typing import NamedTuple

import click
import pytest

from mahavishnu.base.errors import UsageError
from mahavishnu.interfaces.cli.root import cli
from mahavishnu.operations.table import OPERATIONS
from tests.docs.test_docs import DOCS

PAGE = (DOCS / "reference" / "sources.md").read_text("utf-8")
STATES = ("works", "replaced", "to come")
_COMMAND = re.compile(r"`mahavishnu ([^`]+)`(?! \(not in this release\))")
_LATER = re.compile(r"`mahavishnu ([^`]+)` \(not in this release\)")
_TOOL = re.compile(r"MCP (?:tool )?`(\w+)")


class Row(NamedTuple):
    """A line of one of the tables."""

    number: str
    promise: str
    state: str
    where: str


def read_rows() -> list[Row]:
    lines = re.findall(r"^\| (\d+) \|(.*)\|$", PAGE, re.MULTILINE)
    return [Row(number, *(cell.strip() for cell in rest.split("|"))) for number, rest in lines]


ROWS = read_rows()


def unknown_part(words: list[str]) -> str:
    """Return the first word of a command line that names no command and no option, else ""."""
    command: click.Command = cli
    context = click.Context(command)
    while words and isinstance(command, click.Group):
        found = command.get_command(context, words[0])
        if found is None:
            return words[0]
        command, context, words = found, click.Context(found, parent=context), words[1:]
    known = {name for each in command.get_params(context) for name in each.opts}
    return next((word for word in words if word.startswith("--") and word not in known), "")


def test_every_promise_has_one_row_and_a_state() -> None:
    assert [int(row.number) for row in ROWS] == list(range(1, 293))
    assert {row.state for row in ROWS} == set(STATES)
    assert all(row.promise and row.where for row in ROWS)
    counts = Counter(row.state for row in ROWS)
    told = dict(re.findall(r"^\| ([a-z ]+) \| (\d+) \|$", PAGE, re.MULTILINE))
    assert told == {state: str(counts[state]) for state in STATES} | {"all": str(len(ROWS))}


def test_what_rows_name_is_there() -> None:
    """A promise that works is named by a command too; what is to come may have another name then."""
    tools = {operation.name for operation in OPERATIONS}
    wrong = []
    for row in ROWS:
        named = f"{row.promise} {row.where}" if row.state == "works" else row.where
        wrong += [(row.number, c) for c in _COMMAND.findall(named) if unknown_part(shlex.split(c))]
        wrong += [(row.number, tool) for tool in _TOOL.findall(named) if tool not in tools]
    assert wrong == []


def test_what_is_not_in_this_release_says_so() -> None:
    commands = set(_LATER.findall(PAGE))
    for command in commands:
        with pytest.raises(UsageError) as caught:
            cli.main(shlex.split(command), standalone_mode=False)
        assert caught.value.code == "cli.not_yet", command


def test_a_command_that_is_not_there_is_noticed() -> None:
    assert unknown_part(["memory", "recall"]) == "recall"
    assert unknown_part(["memory", "search", "x", "--tear"]) == "--tear"
    assert unknown_part(["memory", "store", "text", "--metadata", "type=decision"]) == ""
