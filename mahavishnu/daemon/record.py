"""
Which daemon serves a data directory: one at most, told by a lock that the system frees with it.

`daemon.lock` is held by the daemon and says who it is and where it listens. A dead daemon's text
stays: its process is looked for, by pid and start time, before anything of it is believed.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from mahavishnu.database.embedded.state import FULL
from mahavishnu.errors import Conflict, Unavailable
from mahavishnu.paths import private_folder
from mahavishnu.processes import ProcessIdentity, identify

HOST = "127.0.0.1"
RECORD_BYTES = 512


@dataclass(frozen=True)
class DaemonRecord:
    """A daemon: its process, the port it listens on (None while it begins or ends), version, start in UTC."""

    pid: int
    started: str
    version: str
    since: str
    port: int | None = None

    @property
    def process(self) -> ProcessIdentity:
        """The process, told apart from a later one with the same pid."""
        return ProcessIdentity(self.pid, self.started)

    @property
    def url(self) -> str:
        """Where it listens, without a slash at the end; asserts that it does."""
        assert self.port is not None
        return f"http://{HOST}:{self.port}"

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """Return what the file says; None where there is none, or it is no whole record."""
        try:
            record = cls(**json.loads(path.read_bytes()))
        except (OSError, ValueError, TypeError, RecursionError):
            return None
        numbers = [record.pid, *([] if record.port is None else [record.port])]
        texts = [record.started, record.version, record.since]
        whole = all(type(n) is int for n in numbers) and all(type(t) is str for t in texts)
        return record if whole else None


def find_daemon(lock: Path) -> DaemonRecord | None:
    """Return the daemon that serves the data directory of `lock`; None where none is alive."""
    record = DaemonRecord.read(lock)
    return record if record is not None and record.process.alive else None


def find_listening(lock: Path) -> DaemonRecord | None:
    """Return the daemon where one is alive and has begun to listen."""
    record = find_daemon(lock)
    return record if record is not None and record.port is not None else None


class Claim:
    """The lock of a data directory, held by this process; says where it listens."""

    def __init__(self, descriptor: int, *, version: str, since: str) -> None:
        own = identify(os.getpid())
        assert own is not None
        self._descriptor = descriptor
        self._record = DaemonRecord(own.pid, own.started, version, since)
        self._write(self._record)

    def announce(self, port: int) -> None:
        """Write down where this daemon listens."""
        self._write(DaemonRecord(**{**asdict(self._record), "port": port}))

    def conceal(self) -> None:
        """Write down that this daemon listens no more, though it is still there."""
        self._write(self._record)

    def withdraw(self) -> None:
        """Empty the record: whoever looks for a daemon finds none."""
        os.ftruncate(self._descriptor, 0)

    def _write(self, record: DaemonRecord) -> None:
        text = json.dumps(asdict(record)).encode()
        os.pwrite(self._descriptor, text.ljust(RECORD_BYTES - 1) + b"\n", 0)
        os.ftruncate(self._descriptor, RECORD_BYTES)


@contextmanager
def claim(lock: Path, *, version: str, since: str) -> Iterator[Claim]:
    """
    Hold the lock of a data directory for as long as the block lasts.

    Raises:
        Conflict: `daemon.running`, another process holds it.
    """
    private_folder(lock.parent)
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise already_running(find_daemon(lock)) from error
        held = Claim(descriptor, version=version, since=since)
        try:
            yield held
        finally:
            held.withdraw()
    finally:
        os.close(descriptor)


@contextmanager
def told_full_disk(folder: Path) -> Iterator[None]:
    """Raise Unavailable `daemon.disk_full` where a file of the daemon finds no room inside the block."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise Unavailable(
            "The disk that holds the daemon's files is full.",
            hint=f"Free some space for {folder}",
            code="daemon.disk_full",
        ) from error


def already_running(record: DaemonRecord | None) -> Conflict:
    """Return the error for a data directory that has its daemon."""
    where = f" (pid {record.pid}, port {record.port or 'not yet open'})" if record else ""
    return Conflict(
        f"A daemon already serves this data directory{where}.",
        hint="See it with: mahavishnu status; end it with: mahavishnu down",
        code="daemon.running",
    )
