"""Streams of the command line: what happens where a piece cannot be written."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mahavishnu.base.errors import MahavishnuError
from mahavishnu.interfaces.cli.root import asks_json
from mahavishnu.interfaces.cli.streams import Notes, Output, ReaderGone


@pytest.fixture
def full() -> Iterator[int]:
    if not Path("/dev/full").exists():
        pytest.skip("no file is always full")
    descriptor = os.open("/dev/full", os.O_WRONLY)
    yield descriptor
    os.close(descriptor)


@pytest.fixture
def abandoned() -> Iterator[int]:
    """A pipe without a reader."""
    reader, writer = os.pipe()
    os.close(reader)
    yield writer
    os.close(writer)


def test_a_full_disk_is_told_once(full: int) -> None:
    stream = Output(full, "w", closefd=False)
    with pytest.raises(MahavishnuError) as caught:
        stream.write(b"text")
    assert caught.value.code == "output.failed" and "No space left" in caught.value.message
    assert caught.value.hint and caught.value.exit_code == 1
    assert stream.write(b"text") == 4  # what the buffers still hold goes nowhere


def test_a_reader_that_has_gone_is_told_apart(abandoned: int) -> None:
    stream = Output(abandoned, "w", closefd=False)
    with pytest.raises(ReaderGone):
        stream.write(b"text")
    assert stream.write(b"text") == 4


def test_notes_that_cannot_be_written_are_dropped(full: int, abandoned: int) -> None:
    for descriptor in (full, abandoned):
        assert Notes(descriptor, "w", closefd=False).write("größer".encode()) == 8


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        ("memory list --json", True),
        ("memory show --json -- x", True),
        ("memory store -- --json", False),
        ("memory store --json-", False),
        ("", False),
    ],
)
def test_json_is_asked_for_before_two_dashes_only(words: str, asked: bool) -> None:
    assert asks_json(words.split()) == asked
