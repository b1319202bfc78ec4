"""
A channel that follows the journal of automatic acts, from where it was.

Its state is a file that is written before a message is sent and after it was taken: what waits survives a restart,
and goes out once. Only a process that is killed in between repeats one message.
"""

import asyncio
import contextlib
import fcntl
import os
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import msgspec

from mahavishnu.base.files import write_atomically
from mahavishnu.base.masking import Secret
from mahavishnu.base.paths import private_folder
from mahavishnu.services.alerts.ledger import Ledger, Message, Rules
from mahavishnu.services.alerts.sending import send
from mahavishnu.services.alerts.text import TEST_BODY, TEST_TITLE, compose, host
from mahavishnu.services.events.journal import EventJournal

type FindUrl = Callable[[], Secret]
type Send = Callable[[Secret, str, str], Awaitable[None]]


@dataclass(frozen=True)
class Channel:
    """A channel: `find_url` returns its Apprise URL, or raises; `folder` keeps its state."""

    name: str
    find_url: FindUrl = field(repr=False)
    rules: Rules
    folder: Path
    send: Send = send

    async def test(self) -> None:
        """Send a message that says it is a test; raises as `tell`."""
        url = await asyncio.to_thread(self.find_url)
        await self.send(url, TEST_TITLE, TEST_BODY.format(host=host()))

    async def tell(self, message: Message) -> None:
        """Send a message; raises `MahavishnuError`, as `find_url` and `sending.send`."""
        url = await asyncio.to_thread(self.find_url)
        await self.send(url, *compose(message))


@contextlib.contextmanager
def claim(folder: Path, name: str) -> Iterator[bool]:
    """Give whether no other process works at this, of the alerts with state in `folder`, meanwhile; raises OSError."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
    lock = os.open(private_folder(folder) / f"{name}.lock", flags, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(lock)


class Follower:
    """Tells a channel what the journal has for it; one process at a time, which holds its `claim`."""

    def __init__(self, channel: Channel, journal: EventJournal, *, since: datetime) -> None:
        """Go on where the channel was; a new one begins with what happened `since`."""
        self._channel = channel
        self._journal = journal
        self._path = channel.folder / f"{channel.name}.json"
        self._stamp: tuple[int, ...] | None = None
        self._ledger = self._read(since)

    async def look(self, now: datetime) -> bool:
        """
        Take in new events, and send what is due; returns whether a message was sent.

        Raises:
            MahavishnuError: the channel did not take it, and it waits; as `Channel.tell`.
            OSError: the state folder cannot be used.
        """
        await asyncio.to_thread(self._take)
        message = self._ledger.next_message(self._channel.rules, now)
        if message is None:
            return False
        await self._channel.tell(message)
        self._ledger.note_sent(now)
        await asyncio.to_thread(self._write)
        return True

    def _take(self) -> None:
        stamp = self._journal.stamp()
        if stamp == self._stamp:
            return
        events = self._journal.read_after(self._ledger.position)
        for event in events:
            self._ledger.take(event, self._channel.rules)
        if events or self._stamp is None:
            self._write()
        self._stamp = stamp

    def _read(self, since: datetime) -> Ledger:
        """Return the state; one that is damaged is begun again."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Ledger)
        except (FileNotFoundError, msgspec.MsgspecError, UnicodeDecodeError):
            past = [each for each in self._journal.read_after(None) if each.at < since]
            return Ledger(position=past[-1].id if past else None)

    def _write(self) -> None:
        private_folder(self._path.parent)
        write_atomically(self._path, msgspec.json.encode(self._ledger))
