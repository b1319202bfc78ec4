"""What a channel is told, and when: once, not too often, and never that something works which does not."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest

from mahavishnu.base.errors import UsageError
from mahavishnu.base.identifiers import new_id
from mahavishnu.base.settings.shown import shown_value
from mahavishnu.base.settings.sources import load_settings
from mahavishnu.operations.ai.alert_channels import alert_channels
from mahavishnu.services.alerts.ledger import Alert, Ledger, Message, Rules
from mahavishnu.services.alerts.sending import without_parts
from mahavishnu.services.alerts.text import compose
from mahavishnu.services.events.journal import Event

START = datetime(2026, 3, 4, 5, 6, tzinfo=UTC)
RULES = Rules(repeat_after=timedelta(hours=6), per_hour=2)


class Told:
    """A channel that takes every message at once; `now` is minutes after the start."""

    def __init__(self, rules: Rules = RULES) -> None:
        self.rules = rules
        self.ledger = Ledger()
        self.messages: list[Message] = []

    def take(
        self,
        minute: float,
        what: str,
        result: Literal["done", "failed", "skipped"] = "failed",
        code: str | None = "tests.away",
    ) -> None:
        at = START + timedelta(minutes=minute)
        code = code if result == "failed" else None
        event = Event(id=new_id(), at=at, what=what, why="because", result=result, code=code)
        self.ledger.take(event, self.rules)
        self.look(minute)

    def look(self, minute: float) -> None:
        # What is kept in between is what a restart would find.
        self.ledger = msgspec.json.decode(msgspec.json.encode(self.ledger), type=Ledger)
        now = START + timedelta(minutes=minute)
        if message := self.ledger.next_message(self.rules, now):
            self.ledger.note_sent(now)
            self.messages.append(message)

    @property
    def told(self) -> list[tuple[str, str]]:
        return [(each.what, each.kind) for message in self.messages for each in message.alerts]


def test_the_same_failure_is_told_once_in_its_time_and_its_end_once() -> None:
    told = Told()
    for minute in (0, 1, 15, 45):
        told.take(minute, "backup.create")
    told.take(50, "backup.create", code="backup.no_room")
    told.take(60, "backup.create", "done")
    told.take(61, "backup.create", "done")
    assert told.told == [
        ("backup.create", "failed"), ("backup.create", "failed"), ("backup.create", "recovered"),
    ]  # fmt: skip
    assert [each.repeated for each in told.messages] == [0, 3, 0]
    told.take(60 * 7, "backup.create")
    assert told.told[-1] == ("backup.create", "failed")


def test_what_still_fails_is_told_again_after_the_time() -> None:
    told = Told()
    told.take(0, "backup.create")
    told.take(60 * 6, "backup.create")
    assert told.told == [("backup.create", "failed")] * 2


def test_what_flaps_is_told_twice_and_again_where_it_ends_broken() -> None:
    told = Told(msgspec.structs.replace(RULES, per_hour=100))
    for minute in range(0, 40, 2):
        told.take(minute, "sync.deliver mirror")
        told.take(minute + 1, "sync.deliver mirror", "done")
    assert [kind for _, kind in told.told] == ["failed", "recovered"]
    told.take(41, "sync.deliver mirror")
    told.look(60 * 6 - 1)
    assert len(told.told) == 2
    told.look(60 * 6)
    assert [kind for _, kind in told.told] == ["failed", "recovered", "failed"]


def test_a_full_hour_holds_messages_back_and_the_next_one_has_them() -> None:
    told = Told()
    for number in range(30):
        told.take(number, f"act {number}")
    assert [len(each.alerts) for each in told.messages] == [1, 1]
    told.look(59)
    told.look(60)
    [*_, last] = told.messages
    assert [each.what for each in last.alerts] == [f"act {number}" for number in range(2, 12)]
    assert last.more == 18
    title, text = compose(last)
    assert title.endswith(": 10 failed") and "18 more were held back." in text


def test_a_clock_that_is_set_back_silences_nothing() -> None:
    told = Told()
    for minute in (0, 0.1):
        told.take(minute, f"a {minute}")
    told.take(-60 * 24, "a 0")
    assert told.told[-1] == ("a 0", "failed") and len(told.messages) == 3


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (Rules(), [("backup.create", "failed"), ("repo.ingest", "failed")]),
        (Rules(acts=("backup.*",)), [("backup.create", "failed")]),
        (Rules(results=("done",)), [("config.changed codex", "done")]),
        (Rules(acts=()), []),
    ],
)
def test_a_channel_is_told_what_it_wants_and_nothing_about_alerts(
    rules: Rules, expected: list[tuple[str, str]]
) -> None:
    told = Told(rules)
    told.take(0, "backup.create")
    told.take(1, "alerts.send mail")
    told.take(2, "config.changed codex", "done")
    told.take(3, "config.changed codex", "done")
    told.take(4, "repo.ingest")
    assert told.told == expected


def test_acts_that_are_over_are_not_remembered_for_ever() -> None:
    told = Told()
    for number in range(50):
        told.take(number, f"act {number}")
        told.take(number + 0.5, f"act {number}", "done")
    told.look(60 * 7)
    assert told.ledger.acts == {}


def test_a_message_has_what_happened_and_no_secret() -> None:
    alert = Alert(
        at=START, kind="failed", what="a", text="https://me:hunter2@host is away", code="tests.away"
    )
    title, text = compose(Message(alerts=(alert,), more=0, repeated=3))
    assert title.endswith(": a failed") and "a failed [tests.away]: https://***@host" in text
    assert "3 repetitions were not told." in text and "hunter2" not in text


def test_nothing_of_an_address_is_in_a_reason() -> None:
    url = "discord://1234567/hunter2-token/?key=other-secret"
    said = f"No answer from {url}, 1234567/hunter2-token, error 404."
    assert without_parts(said, url) == "No answer from discord://***, ***/***, error 404"


def test_an_address_is_given_by_reference_and_shown_to_nobody(tmp_path: Path) -> None:
    def channels(**flags: Any) -> Any:
        environ = {
            "HOME": str(tmp_path),
            "MAHAVISHNU_HOME": str(tmp_path),
            "HOOK": "json://x/hunter2",
        }
        return alert_channels(load_settings(environ=environ, folder=tmp_path, flags=flags))

    found = channels(**{"alerts.channels.hook.url": "${HOOK}"})
    assert found["hook"].find_url().reveal() == "json://x/hunter2"
    assert "hunter2" not in repr(found) and shown_value("alerts.channels.hook.url", "x") == "***"
    for flags in (
        {"alerts.channels.hook.url": "json://x/hunter2"},
        {"alerts.channels.hook.acts": ()},
        {"alerts.channels.A b.url": "env:HOOK"},
    ):
        with pytest.raises(UsageError) as refused:
            channels(**flags)
        assert refused.value.code == "alerts.channel" and "hunter2" not in str(refused.value)
