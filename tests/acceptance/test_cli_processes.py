"""The installed command among others: many at once, interrupted, and on a disk that is full."""

import contextlib
import fcntl
import json
import os
import random
import signal
import struct
import termios
from collections.abc import Callable
from pathlib import Path

import pytest

from mahavishnu.database.embedded.state import KeeperRecord, Layout
from tests.support.command import ROOT, Command
from tests.support.daemon import layout, wait_until
from tests.support.small_disk import fill, small_disk

pytestmark = pytest.mark.postgres


def together(command: Command, calls: list[tuple[str, ...]]) -> list[dict[str, object]]:
    """Start all the calls at once and return what each answered."""
    started = [command.start(*words, "--json") for words in calls]
    ended = [(process, *process.communicate(timeout=120)) for process in started]
    assert [(process.returncode, err) for process, _, err in ended] == [(0, b"")] * len(calls)
    return [json.loads(out) for _, out, _ in ended]


@pytest.mark.parametrize("count", [2, 4])
def test_processes_that_create_the_schema_at_once(alone: Command, count: int) -> None:
    states = together(alone, [("db", "init")] * count)
    assert all(state["current"] for state in states)
    assert len({str(state["url"]) for state in states}) == 1


def test_first_use_by_six_processes_at_once(alone: Command) -> None:
    calls = [("memory", "store", f"Fact {number}.", "--project", "p") for number in range(5)]
    stored = together(alone, [*calls, calls[0]])
    assert len({str(body["id"]) for body in stored}) == 5
    assert [body["created"] for body in stored].count(True) == 5
    listed = alone("memory", "list", "--project", "p", "--json").json["memories"]
    assert {item["id"] for item in listed} == {str(body["id"]) for body in stored}


@pytest.mark.parametrize(
    "words",
    [("memory", "store"), ("memory", "list"), ("memory", "import", "git", ".")],
    ids=["waiting for text", "starting the server", "importing"],
)
def test_an_interrupt_ends_with_130(alone: Command, words: tuple[str, ...]) -> None:
    with contextlib.ExitStack() as stack:
        reader, writer = os.pipe()
        stack.callback(os.close, reader)
        stack.callback(os.close, writer)
        process = alone.start(*words, stdin=reader)
        stack.callback(process.communicate)
        stack.callback(process.kill)
        layout = Layout(alone.root / "data/postgres")
        os.write(writer, b"The begin of a text,")
        reads = words == ("memory", "store")
        wait_until(lambda: not unread(reader) if reads else layout.keeper_log.exists())
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    assert (process.returncode, out.strip(), err.strip()) == (130, b"", b"")


def unread(pipe: int) -> int:
    """Return how many bytes wait in a pipe."""
    return struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, b"\0" * 4))[0]


# ---- a full disk


def many_words(seed: int, size: int) -> str:
    words = random.Random(seed)
    return " ".join(f"{words.randrange(16**8):08x}" for _ in range(size // 9))


@pytest.mark.skipif(not ROOT, reason="only root can mount a small file system")
@pytest.mark.parametrize("leave_mb", [3, 20], ids=["log", "tables"])
def test_what_was_acknowledged_before_the_disk_was_full_is_kept(
    alone: Command, place: Callable[[Path], None], leave_mb: float
) -> None:
    """A few megabytes end with the log that cannot grow, more of them with the tables."""
    with small_disk(alone.root, 160):
        place(layout(alone).folder)
        ballast = alone.root / "ballast"
        fill(ballast, leave_mb=leave_mb)
        kept: dict[str, str] = {}
        for number in range(80):
            text = many_words(number, 250_000)
            answer = alone("memory", "store", "--json", input=text.encode())
            if answer.status:
                break
            kept[answer.json["id"]] = text
        assert answer.status == 5 and answer.error["code"] == "database.disk_full", answer
        assert answer.error["hint"]
        ballast.unlink()
        listed = alone("memory", "list", "--limit", "1000", "--json").json["memories"]
        assert {item["id"]: item["content"] for item in listed} == kept
        orphans = (
            "SELECT count(*) FROM postings WHERE memory_no NOT IN (SELECT memory_no FROM memories)"
        )
        assert alone.sql(orphans) == "0"
        assert alone("memory", "store", "Room again.", "--json").json["created"]


@pytest.mark.skipif(not ROOT, reason="only root can mount a small file system")
@pytest.mark.parametrize("crashed", [False, True], ids=["running", "after a crash"])
def test_with_little_room_left_everything_can_still_be_read(
    alone: Command, place: Callable[[Path], None], crashed: bool
) -> None:
    with small_disk(alone.root, 160):
        place(layout(alone).folder)
        stored = alone("memory", "store", "Before.", "--json").json["id"]
        fill(alone.root / "ballast", leave_mb=2)
        if crashed:
            kill_postmaster(alone)
        for words in (("list",), ("search", "before"), ("show", stored), ("stats",)):
            assert alone("memory", *words, "--json").json
        text = many_words(1, 1_000_000).encode()
        answers = [alone("memory", "store", "--json", input=text[n:]) for n in range(8)]
        assert answers[-1].status == 5 and answers[-1].error["code"] == "database.disk_full"
        assert stored in {m["id"] for m in alone("memory", "list", "--json").json["memories"]}


@pytest.mark.skipif(not ROOT, reason="only root can mount a small file system")
def test_a_crash_on_a_full_disk_is_told_soon_and_mended_by_room(alone: Command) -> None:
    with small_disk(alone.root, 160):
        stored = alone("memory", "store", "Before.", "--json").json["id"]
        fill(alone.root / "ballast", leave_mb=0)
        alone.sql(FILL_SEGMENT)
        kill_postmaster(alone)
        codes = {alone("memory", "list", "--json").error["code"] for _ in range(3)}
        assert codes == {"database.disk_full"}
        (alone.root / "ballast").unlink()
        assert alone("memory", "show", stored, "--json").json
        assert alone("memory", "store", "Room again.", "--json").json["created"]


# Fills the current segment of the log up to less than a record of a checkpoint: recovery then has to make the next one.
FILL_SEGMENT = """
DO $$
DECLARE
    room bigint;
BEGIN
    LOOP
        room := 16777216 - (pg_current_wal_insert_lsn() - '0/0')::bigint % 16777216;
        EXIT WHEN room < 100;
        PERFORM pg_logical_emit_message(false, '', repeat('x', greatest(1, room / 2 - 200)::integer));
    END LOOP;
END $$
"""


def kill_postmaster(command: Command) -> None:
    """Kill the server with -9, so that the next one must recover from the log."""
    record = KeeperRecord.read(Layout(command.root / "data/postgres").keeper_lock)
    assert record and record.postmaster
    os.kill(record.postmaster.pid, signal.SIGKILL)
    killed = record.postmaster
    wait_until(lambda: not killed.alive)
