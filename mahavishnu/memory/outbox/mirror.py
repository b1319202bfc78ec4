"""
An append-only copy of the feed in one file of JSON lines.

The first line names the file. Each other line is a change, with its memory as it was when the line was written. Whoever
skips a line whose (xid, change) came before, and lets the last line of an id count, has what the database had.
"""

import asyncio
import fcntl
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

import msgspec

from mahavishnu.base.errors import Conflict, MahavishnuError, Unavailable
from mahavishnu.base.files import write_atomically
from mahavishnu.memory.outbox.port import DeliveryRefusal, MemoryChange

FORMAT = 1
_BLOCK = 64 * 1024


class _Header(msgspec.Struct, frozen=True):
    mirror: str
    format: int


class JsonlMirror:
    """The mirror at a path; its methods are those of `SyncTarget`."""

    collections: Sequence[str] | None = None

    def __init__(self, path: Path) -> None:
        self.name = f"mirror@{socket.gethostname()}:{path}"
        self._path = path

    async def open(self) -> str:
        """Make the file where it is missing; return what its first line calls it."""
        return await self._in_thread(self._open)

    async def deliver(self, changes: Sequence[MemoryChange]) -> DeliveryRefusal | None:
        """Append a line for each change; on the disk when this returns, or nothing of it is there."""
        lines = b"".join(map(_line, changes))
        await self._in_thread(lambda: self._append(lines))
        return None

    def _open(self) -> str:
        if not self._path.exists():
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_atomically(self._path, _encode(_Header(uuid4().hex, FORMAT)))
        with self._locked() as (_, header):
            return header.mirror

    def _append(self, lines: bytes) -> None:
        with self._locked() as (stream, _):
            end = _find_whole_end(stream)
            stream.truncate(end)  # a line that a killed process left torn was never acknowledged
            stream.seek(end)
            try:
                _write(stream, lines)
                os.fsync(stream.fileno())
            except OSError:
                stream.truncate(end)
                raise

    @contextmanager
    def _locked(self) -> Iterator[tuple[BinaryIO, _Header]]:
        """Hold the file against other processes; yields it with its first line."""
        with self._path.open("r+b", buffering=0) as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            try:
                first, _, _ = os.pread(stream.fileno(), _BLOCK, 0).partition(b"\n")
                header = msgspec.json.decode(first, type=_Header)
            except msgspec.DecodeError as error:
                raise Conflict(
                    f"{self._path} is a file of something else; nothing was written to it.",
                    hint="Let sync.mirror.path name a file that is not there yet.",
                    code="sync.not_a_mirror",
                ) from error
            os.fchmod(stream.fileno(), 0o600)
            yield stream, header

    async def _in_thread[T](self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.to_thread(work)
        except OSError as error:
            raise self._not_writable(error) from error

    def _not_writable(self, error: OSError) -> MahavishnuError:
        return Unavailable(
            f"The mirror {self._path} cannot be written: {error.strerror or type(error).__name__}.",
            hint="Make room, or give its folder back to its owner; it goes on by itself.",
            code="sync.mirror_not_writable",
        )


def _line(change: MemoryChange) -> bytes:
    shown = {
        "change": change.number,
        "xid": change.xid,
        "at": change.changed_at,
        "kind": change.kind,
        "id": change.memory_id,
    }
    return _encode(shown if change.memory is None else shown | {"memory": change.memory})


def _encode(value: object) -> bytes:
    return msgspec.json.encode(value) + b"\n"


def _find_whole_end(stream: BinaryIO) -> int:
    """Return the position behind the last line that is whole."""
    end = stream.seek(0, os.SEEK_END)
    while end > 0:
        start = max(0, end - _BLOCK)
        cut = os.pread(stream.fileno(), end - start, start).rfind(b"\n")
        if cut >= 0:
            return start + cut + 1
        end = start
    return 0


def _write(stream: BinaryIO, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[stream.write(left) :]
