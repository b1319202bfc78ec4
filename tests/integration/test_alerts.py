"""Alerts reach real servers on the loopback interface, survive restarts, and a channel that fails blocks nothing."""

import asyncio
import contextlib
import email
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.policy import default
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from mahavishnu.base.errors import MahavishnuError, Unavailable
from mahavishnu.base.masking import Secret
from mahavishnu.daemon import alerting
from mahavishnu.daemon.alerting import follow_events
from mahavishnu.services.alerts.channel import Channel, Follower, claim
from mahavishnu.services.alerts.ledger import Rules
from mahavishnu.services.alerts.sending import send
from mahavishnu.services.events.journal import EventJournal
from tests.support.fake_servers import FakeServer, Reply


@pytest.fixture
def events(tmp_path: Path) -> EventJournal:
    return EventJournal(tmp_path / "state")


@dataclass
class Mailbox:
    """What takes messages in the place of a server, but for the next `faults`."""

    faults: int = 0
    taken: list[tuple[str, str]] = field(default_factory=list)

    async def take(self, _url: Secret, title: str, text: str) -> None:
        if self.faults:
            self.faults -= 1
            raise Unavailable("It is full.", code="alerts.refused")
        self.taken.append((title, text))

    def channel(self, folder: Path) -> Channel:
        return Channel("box", lambda: Secret("json://x"), Rules(), folder / "alerts", self.take)


def fail(events: EventJournal, what: str, text: str = "It is away.") -> None:
    events.record(what, "It was time.", error=Unavailable(text, code="tests.away"))


async def test_a_webhook_gets_what_happened_and_says_nothing_of_its_address() -> None:
    async with FakeServer(lambda _: Reply()) as hook:
        url = f"json://127.0.0.1:{hook.port}/secret-path?+X-Key=canary-1234"
        await send(Secret(url), "Title", "Text")
        [posted] = hook.requests
        assert (posted.json["title"], posted.json["message"]) == ("Title", "Text")
        assert posted.headers["x-key"] == "canary-1234"
        hook.script = [Reply(404)]
        with pytest.raises(MahavishnuError) as refused:
            await send(Secret(url), "Title", "Text")
    assert refused.value.code == "alerts.refused" and "404" in refused.value.message
    with pytest.raises(MahavishnuError) as unknown:
        await send(Secret("nosuch://canary-1234"), "Title", "Text")
    for error in (refused.value, unknown.value):
        assert "canary" not in f"{error.message}{error.hint}", error.message
        assert "secret-path" not in error.message


@contextlib.asynccontextmanager
async def mail_server() -> AsyncIterator[tuple[int, list[bytes]]]:
    """Give the port of an SMTP server that takes one letter at a time, and what it took."""
    letters: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 loopback\r\n")
        while line := await reader.readline():
            if line.upper().startswith(b"DATA"):
                writer.write(b"354 go on\r\n")
                letters.append(await reader.readuntil(b"\r\n.\r\n"))
            writer.write(b"221 bye\r\n" if line.upper().startswith(b"QUIT") else b"250 ok\r\n")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1], letters


async def test_a_mail_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    killed: list[int] = []  # by numbers that may be another's by now
    monkeypatch.setattr("os.killpg", lambda number, _: killed.append(number))
    async with mail_server() as (port, letters):
        url = f"mailto://127.0.0.1:{port}/?from=daemon@example.com&to=me@example.com"
        await send(Secret(url), "Mahavishnu: backup.create failed", "It is away.")
    [letter] = letters
    assert killed == []
    message = email.message_from_bytes(letter, policy=default)
    assert message["subject"] == "Mahavishnu: backup.create failed"
    body = message.get_body(("plain", "html"))
    assert body is not None and "It is away." in body.get_content()


async def test_a_server_that_hangs_is_given_up_with_its_process() -> None:
    """Waits for the bound that it sets."""
    before = {each.pid for each in psutil.Process().children(recursive=True)}
    async with FakeServer(lambda _: Reply(delay_s=600)) as hook:
        url = Secret(f"json://127.0.0.1:{hook.port}/?rto=600")
        with pytest.raises(MahavishnuError) as given_up:
            await send(url, "Title", "Text", timeout_s=0.5)
        assert given_up.value.code == "alerts.timeout"
        sending = asyncio.create_task(send(url, "Title", "Text"))
        while not hook.requests:  # noqa: ASYNC110 - servers tell nobody
            await asyncio.sleep(0.02)
        sending.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sending
    assert {each.pid for each in psutil.Process().children(recursive=True)} <= before


async def test_a_restart_repeats_nothing_and_loses_nothing(
    events: EventJournal, tmp_path: Path
) -> None:
    box = Mailbox()
    fail(events, "before there was a channel")
    channel, now = box.channel(tmp_path), datetime.now(UTC)
    follower = Follower(channel, events, since=now)
    fail(events, "a")
    assert await follower.look(now) and not await follower.look(now)
    fail(events, "while nothing ran")
    fail(events, "a")
    follower = Follower(channel, events, since=now)
    assert await follower.look(now)
    box.faults = 1
    fail(events, "b")
    with pytest.raises(Unavailable):
        await follower.look(now)
    fail(events, "c")
    assert await Follower(channel, events, since=now).look(now)
    titles = [title.partition(": ")[2] for title, _ in box.taken]
    assert titles == ["a failed", "while nothing ran failed", "2 failed"]
    assert not await Follower(channel, events, since=now).look(now)


async def test_what_was_rotated_away_costs_no_later_alert(
    events: EventJournal, tmp_path: Path
) -> None:
    box = Mailbox()
    follower = Follower(box.channel(tmp_path), events, since=datetime.now(UTC))
    fail(events, "a")
    assert await follower.look(datetime.now(UTC))
    for path in events.path.parent.glob("events.jsonl*"):
        path.unlink()
    fail(events, "b")
    assert await follower.look(datetime.now(UTC))
    assert [title.partition(": ")[2] for title, _ in box.taken] == ["a failed", "b failed"]


async def test_a_channel_that_fails_is_one_event_and_no_alert(
    events: EventJournal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alerting, "LOOK_EVERY_S", 0.001)
    monkeypatch.setattr(alerting, "TRY_AGAIN_S", 0.001)
    monkeypatch.setattr(alerting, "LAST_PAUSE_S", 0.001)
    box = Mailbox(faults=5)
    channel, app = box.channel(tmp_path), SimpleNamespace(events=events)
    fail(events, "before")
    task = asyncio.create_task(follow_events(app, channel))  # type: ignore[arg-type]
    async with asyncio.timeout(60):
        while not (tmp_path / "alerts" / "box.json").exists():  # noqa: ASYNC110 - files tell nobody
            await asyncio.sleep(0.01)
        fail(events, "a")
        while len(events.read(limit=9)) < 4:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)
        with claim(tmp_path / "alerts", "box") as ours:
            assert not ours
        await follow_events(app, channel)  # type: ignore[arg-type]  # of another daemon: returns
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    told = [(each.what, each.result, each.code) for each in events.read(limit=9)]
    assert told[2:] == [
        ("alerts.send box", "failed", "alerts.refused"), ("alerts.send box", "done", None),
    ]  # fmt: skip
    assert len(box.taken) == 1


async def test_the_state_of_a_channel_is_its_owners_alone(
    events: EventJournal, tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    await Follower(Mailbox().channel(tmp_path), events, since=now).look(now)
    [path] = (tmp_path / "alerts").glob("*.json")
    assert path.stat().st_mode & 0o777 == 0o600
    assert json.loads(path.read_bytes())["position"] is None
