"""`mahavishnu events`: the journal as people and programs read it, and how it goes on."""

import json
import signal

from mahavishnu.services.events.journal import EventJournal
from tests.support.command import Command


def test_automatic_acts_are_paused_until_they_are_resumed(alone: Command) -> None:
    assert "only recorded in the events until" in alone("pause", "--for", "2h", "--dry-run").out
    assert alone("status", "--json").json["paused"]["dry_run"]
    assert "rest until they are resumed" in alone("pause").out
    assert "mahavishnu resume" in alone("status").out
    assert alone("resume").out == "Automatic acts go on.\n" == alone("resume").out
    assert alone("status", "--json").json["paused"] is None
    assert alone("pause", "--for", "soon", "--json").error["code"] == "automation.duration"


def test_events_are_shown_and_followed_until_ctrl_c(alone: Command) -> None:
    assert "Nothing was done" in alone("events").out
    journal = EventJournal(alone.root / "state")
    for what in ("a", "b"):
        journal.record(what, "It was time.", "new", before="old")
    assert [each["what"] for each in alone("events", "--limit", "1", "--json").json["events"]] == [
        "b"
    ]
    assert "old -> new" in alone("events").out
    assert alone("events", "--limit", "0", "--json").error["code"] == "input.limit"

    following = alone.start("events", "--follow", "--limit", "1", "--json")
    assert following.stdout is not None
    try:
        assert json.loads(following.stdout.readline())["what"] == "b"
        journal.record("c", "It was time.")
        new = json.loads(following.stdout.readline())
        assert (new["schema"], new["what"]) == (1, "c")
        following.send_signal(signal.SIGINT)
        assert following.wait(60) == 130
    finally:
        following.kill()
        following.communicate()
