"""The journal of automatic acts: whole lines, its owner's alone, bounded, without secrets."""

import fcntl
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mahavishnu.base.errors import Unavailable
from mahavishnu.base.masking import mask_secrets
from mahavishnu.services.events import journal
from mahavishnu.services.events.journal import EventJournal, FailureStreak
from mahavishnu.services.supervision.unit_events import UnitEvents


@pytest.fixture
def events(tmp_path: Path) -> EventJournal:
    return EventJournal(tmp_path / "state")


def whats(events: EventJournal, limit: int = 1000) -> list[str]:
    return [each.what for each in events.read(limit=limit)]


def test_an_act_is_read_back_and_its_file_is_its_owners_alone(events: EventJournal) -> None:
    assert events.read(limit=10) == []
    events.record("a", "because", "new", before="old")
    events.record("b", "because", error=Unavailable("It is away.", code="tests.away"))
    done, failed = events.read(limit=10)
    assert (done.what, done.why, done.before, done.after, done.result, done.code) == (
        "a", "because", "old", "new", "done", None,
    )  # fmt: skip
    assert (failed.after, failed.result, failed.code) == ("It is away.", "failed", "tests.away")
    assert whats(events, limit=1) == ["b"]
    modes = {stat.S_IMODE(path.stat().st_mode) for path in events.path.parent.iterdir()}
    assert modes == {0o600}


def test_the_journal_is_bounded_and_keeps_the_last_events_over_a_rotation(
    events: EventJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "MAX_BYTES", 2_000)
    for number in range(100):
        events.record(f"act {number}", "because")
        assert whats(events, limit=5)[-1] == f"act {number}"
    assert whats(events, limit=5) == [f"act {number}" for number in range(95, 100)]
    journals = sorted(events.path.parent.glob("events.jsonl*"))
    assert len(journals) == 2 and all(path.stat().st_size <= 2_000 for path in journals)


def test_two_processes_that_write_and_rotate_lose_no_event(events: EventJournal) -> None:
    """Processes, since threads would share what a lock of a file is held by."""
    writer = (
        "import sys; from pathlib import Path; from mahavishnu.services.events import journal\n"
        "journal.MAX_BYTES = 20_000\n"
        "for n in range(100): journal.EventJournal(Path(sys.argv[1])).record(f'{sys.argv[2]} {n}', 'x')"
    )
    folder = str(events.path.parent)
    writers = [
        subprocess.Popen([sys.executable, "-c", writer, folder, name]) for name in ("one", "two")
    ]
    assert [each.wait(60) for each in writers] == [0, 0]
    assert (events.path.parent / "events.jsonl.1").exists()
    found = whats(events)
    for name in ("one", "two"):
        own = [what for what in found if what.startswith(name)]
        assert own == [f"{name} {n}" for n in range(100)]


def test_a_writer_waits_while_another_one_rotates(
    events: EventJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    events.record("before", "because")
    asks, flock = threading.Event(), fcntl.flock
    lock = os.open(events.path.with_suffix(".lock"), os.O_RDWR)
    flock(lock, fcntl.LOCK_EX)

    def ask(descriptor: int, operation: int) -> None:
        asks.set()
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", ask)
    writer = threading.Thread(target=events.record, args=("after", "because"))
    writer.start()
    while writer.is_alive() and not asks.is_set():
        asks.wait(0.01)
    held = whats(events)
    os.close(lock)
    writer.join(60)
    assert held == ["before"] and whats(events) == ["before", "after"]


def test_half_a_line_of_a_killed_writer_costs_no_other_event(events: EventJournal) -> None:
    events.record("before", "because")
    with events.path.open("ab") as stream:
        stream.write(b'{"id": "0')
    events.record("after", "because")
    assert whats(events) == ["before", "after"]


def test_a_journal_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file is in the way")
    EventJournal(tmp_path / "state").record("a", "because")


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://me:hunter2@db/memories is away",
        "https://hooks.example/x?key=hunter2",
        "Authorization: Bearer hunter2",
        "password=hunter2, then more",
        'api_key: "hunter2"'.replace('"', ""),
        "it sent sk-hunter2hunter2",
    ],
)
def test_no_secret_reaches_the_journal(events: EventJournal, text: str) -> None:
    events.record("a", text, text, before=text)
    events.record("b", "because", error=Unavailable(text))
    assert b"hunter2" not in events.path.read_bytes()
    assert mask_secrets("3 memories forgotten; see: mahavishnu sync status") == (
        "3 memories forgotten; see: mahavishnu sync status"
    )


def test_a_long_text_is_cut(events: EventJournal) -> None:
    events.record("a", "x" * 10_000)
    [event] = events.read(limit=1)
    assert len(event.why) == journal.MAX_TEXT


async def test_a_failure_that_lasts_is_two_events(events: EventJournal) -> None:
    streak = FailureStreak(events, "a")
    await streak.worked()
    for _ in range(3):
        await streak.failed(Unavailable("away", code="tests.away"))
    await streak.failed(Unavailable("full", code="tests.full"))
    for _ in range(3):
        await streak.worked()
    assert [(each.result, each.code, each.before) for each in events.read(limit=10)] == [
        ("failed", "tests.away", None), ("failed", "tests.full", None), ("done", None, "tests.full"),
    ]  # fmt: skip


async def test_what_failed_under_an_earlier_daemon_is_recorded_as_working_again(
    events: EventJournal,
) -> None:
    away = Unavailable("away", code="tests.away")
    await UnitEvents(events).record("give-up", "a", "because", error=away)
    later = UnitEvents(events)
    await later.read_failed()
    for name in ("b", "a", "a"):
        await later.record_recovery(name)
    assert [(each.what, each.result) for each in events.read(limit=10)] == [
        ("service.give-up a", "failed"), ("service.give-up a", "done"),
    ]  # fmt: skip
