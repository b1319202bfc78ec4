"""
Which daemon serves a data directory: one at most, told by a lock that the system frees with it.

`daemon.lock` is held by the daemon and says who it is and where it listens. A dead daemon's text
stays: its process is looked for, by pid and start time, before anything of it is believed.
"""

import errno
import fcntl
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from mahavishnu.base.errors import Conflict, Forbidden, Unavailable
from mahavishnu.base.files import FULL
from mahavishnu.base.paths import private_folder
from mahavishnu.base.processes import ProcessIdentity, identify

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
            record = cls(**json.loads(_read(path)))
        except (OSError, ValueError, TypeError, RecursionError):
            return None
        numbers = [record.pid, *([] if record.port is None else [record.port])]
        texts = [record.started, record.version, record.since]
        whole = all(type(n) is int for n in numbers) and all(type(t) is str for t in texts)
        return record if whole else None


def _read(path: Path) -> bytes:
    """Read a small file of our own; a link, or a pipe that would keep its reader waiting, is none."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return os.read(descriptor, RECORD_BYTES)
    finally:
        os.close(descriptor)


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

    def __init__(self, path: Path, descriptor: int, *, version: str, since: str) -> None:
        self._path = path
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

    @property
    def holds(self) -> bool:
        """Whether the locked file still is the one that others look at."""
        return _is_same(self._path, self._descriptor)

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
    with translated_files(lock.parent):
        descriptor = _lock(lock)
        while not _is_same(lock, descriptor):  # removed between opening and locking
            os.close(descriptor)
            descriptor = _lock(lock)
    try:
        with translated_files(lock.parent):
            held = Claim(lock, descriptor, version=version, since=since)
        try:
            yield held
        finally:
            held.withdraw()
    finally:
        os.close(descriptor)


def _lock(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file", str(path))
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise already_running(find_daemon(path)) from error
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _is_same(path: Path, descriptor: int) -> bool:
    try:
        there, held = path.lstat(), os.fstat(descriptor)
    except OSError:
        return False
    return (there.st_dev, there.st_ino) == (held.st_dev, held.st_ino)


@contextmanager
def translated_files(folder: Path) -> Iterator[None]:
    """
    Raise as ours what a file of the daemon meets inside the block.

    Raises:
        Unavailable: `daemon.disk_full`.
        Forbidden: `daemon.file`, one of them cannot be used.
    """
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise Unavailable(
                "The disk that holds the daemon's files is full.",
                hint=f"Free some space for {folder}",
                code="daemon.disk_full",
            ) from error
        raise Forbidden(
            f"{error.filename2 or error.filename or folder} cannot be used: {error.strerror}.",
            hint="Check its owner and rights, or move it away.",
            code="daemon.file",
        ) from error


def already_running(record: DaemonRecord | None) -> Conflict:
    """Return the error for a data directory that has its daemon."""
    where = f" (pid {record.pid}, port {record.port or 'not yet open'})" if record else ""
    return Conflict(
        f"A daemon already serves this data directory{where}.",
        hint="See it with: mahavishnu status; end it with: mahavishnu down",
        code="daemon.running",
    )
