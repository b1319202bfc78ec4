"""
The journal of automatic acts: a file of JSON lines, 0600, in the state folder.

Any number of processes may write it at once. It is rotated once, so that it never takes more than twice
`MAX_BYTES`. A journal that cannot be written stops nothing: the log says so.
"""

import asyncio
import contextlib
import fcntl
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

from mahavishnu.base.errors import MahavishnuError, UsageError
from mahavishnu.base.identifiers import new_id
from mahavishnu.base.logs import get_logger
from mahavishnu.base.masking import mask_secrets
from mahavishnu.base.paths import private_folder

NAME = "events.jsonl"
MAX_BYTES = 1024 * 1024
MAX_TEXT = 500  # characters of each text
_log = get_logger(__name__)


class Event(Struct, frozen=True, kw_only=True):
    """One automatic act."""

    id: UUID
    at: datetime
    what: Annotated[str, Meta(description="The act, for example spool.drain.")]
    why: str
    before: Annotated[str | None, Meta(description="The state before it.")] = None
    after: Annotated[str | None, Meta(description="The state after it, or the error.")] = None
    result: Literal["done", "failed", "skipped"]
    code: Annotated[str | None, Meta(description="The code of the error.")] = None


_DECODER = msgspec.json.Decoder(Event)


class EventJournal:
    """The journal in one state folder; nothing is kept open in between."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self._older = folder / f"{NAME}.1"

    def record(
        self,
        what: str,
        why: str,
        after: str | None = None,
        *,
        before: str | None = None,
        error: MahavishnuError | None = None,
        skipped: bool = False,
    ) -> None:
        """
        Append an act, without secrets; with an `error` it failed, `skipped` it was due in a dry run.

        Without a state `after` it, that is the text of the error.
        """
        told = error.message if error and after is None else after
        event = Event(
            id=new_id(),
            at=datetime.now(UTC),
            what=what,
            why=_shorten(why),
            before=before and _shorten(before),
            after=told and _shorten(told),
            result="failed" if error else "skipped" if skipped else "done",
            code=error.code if error else None,
        )
        try:
            private_folder(self.path.parent)
            with self._locked():
                self._append(msgspec.json.encode(event) + b"\n")
        except (OSError, UsageError) as problem:
            _log.warning("event_not_recorded", what=what, reason=str(problem))

    def read(self, *, limit: int) -> list[Event]:
        """Return the last events, oldest first; lines that are no event are passed over."""
        # The newer file first: what a rotation moves in between is then read twice, and not missed.
        newer = _lines(self.path)
        older = [] if len(newer) >= limit else _lines(self._older)
        found = {event.id: event for line in (*older, *newer) for event in _parse(line)}
        return list(found.values())[-limit:]

    def read_after(self, last: UUID | None) -> list[Event]:
        """Return the events behind one, oldest first; all that are kept where it is not among them."""
        events = self.read(limit=sys.maxsize)
        places = (place for place, event in enumerate(events, start=1) if event.id == last)
        return events[next(places, 0) :]

    def stamp(self) -> tuple[int, ...]:
        """Return what is another one after an event was recorded."""
        with contextlib.suppress(FileNotFoundError):
            about = self.path.stat()
            return about.st_ino, about.st_size, about.st_mtime_ns
        return ()

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        lock = os.open(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _append(self, line: bytes) -> None:
        with contextlib.suppress(FileNotFoundError):
            if self.path.stat().st_size + len(line) > MAX_BYTES:
                self.path.replace(self._older)
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        with os.fdopen(os.open(self.path, flags, 0o600), "r+b", buffering=0) as stream:
            size = stream.seek(0, os.SEEK_END)
            if size and os.pread(stream.fileno(), 1, size - 1) != b"\n":
                line = b"\n" + line  # whoever wrote last was ended in the middle of a line
            stream.write(line)


class FailureStreak:
    """Records a failure when it begins and when it is over, however often it is met in between."""

    def __init__(self, journal: EventJournal, what: str) -> None:
        self._journal = journal
        self._what = what
        self._code: str | None = None

    async def failed(self, error: MahavishnuError) -> None:
        """Record an error, unless the last attempt met the same one."""
        if error.code != self._code:
            self._code = error.code
            why = "It failed, and is tried again."
            await asyncio.to_thread(self._journal.record, self._what, why, error=error)

    async def worked(self) -> None:
        """Record the end of a failure, if there was one."""
        if self._code is not None:
            before, self._code = self._code, None
            why = "What failed works again."
            await asyncio.to_thread(self._journal.record, self._what, why, "works", before=before)


def _shorten(text: str) -> str:
    hidden = mask_secrets(text)
    return hidden if len(hidden) <= MAX_TEXT else f"{hidden[: MAX_TEXT - 1]}…"


def _lines(path: Path) -> list[bytes]:
    try:
        return path.read_bytes().splitlines()
    except FileNotFoundError:
        return []


def _parse(line: bytes) -> Iterator[Event]:
    with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):
        yield _DECODER.decode(line)
