"""What backup sets need of a bucket, whosever it is, and its objects as streams."""

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from mahavishnu.base.errors import Corrupt, Forbidden, MahavishnuError, NotFound, Unavailable
from mahavishnu.database.backup.storage.port import PartWriter, Reader

PART_BYTES = 16 * 1024 * 1024  # of an upload or a download; S3 takes 10,000 of them
TIMEOUT_S = 60.0  # of a request


@dataclass(frozen=True)
class Entry:
    """An object of a bucket; `version` changes with each write, and is missing in a list."""

    key: str
    size_bytes: int
    modified_at: datetime
    version: str = ""


class Bucket(Protocol):
    """What this needs of a cloud: strongly consistent reads, and writes on a condition."""

    @property
    def place(self) -> str:
        """The address, for messages."""

    def find(self, prefix: str) -> list[Entry]:
        """Return the objects whose keys begin so."""

    def head(self, key: str) -> Entry | None:
        """Return what an object is; None without one."""

    def read(self, key: str, start: int, size: int) -> bytes:
        """Return a piece of an object, which is not empty."""

    def put(self, key: str, content: bytes) -> datetime:
        """Write a small object; returns when, by the clock of the cloud."""

    def put_if(self, key: str, content: bytes, version: str | None) -> str | None:
        """Write a small object while it has this version, or is missing for None; returns the new one, None if not."""

    def upload(self, key: str) -> contextlib.AbstractContextManager[PartWriter]:
        """Open a large object for writing; it appears when the block ends, and does not where that raises."""

    def delete(self, keys: list[str]) -> None:
        """Remove objects; those that are missing are no error."""


@dataclass
class _Hashed:
    """A sink that computes the digest of what it hands on."""

    sink: PartWriter
    hash: "hashlib._Hash" = field(default_factory=hashlib.sha256)

    def write(self, data: bytes, /) -> int:
        self.sink.write(data)
        self.hash.update(data)
        return len(data)


@dataclass
class Download:
    """An object that is read in pieces by requests of their own, so that a slow reader loses no connection."""

    bucket: Bucket
    entry: Entry
    _at: int = 0
    _piece: memoryview = field(default_factory=lambda: memoryview(b""))

    def read(self, size: int = -1, /) -> bytes:
        if size < 0:
            return b"".join(iter(lambda: self.read(PART_BYTES), b""))
        if not self._piece and self._at < self.entry.size_bytes:
            length = min(PART_BYTES, self.entry.size_bytes - self._at)
            self._piece = memoryview(self.bucket.read(self.entry.key, self._at, length))
            self._at += len(self._piece)
        data, self._piece = bytes(self._piece[:size]), self._piece[size:]
        return data


@contextlib.contextmanager
def open_object(bucket: Bucket, key: str) -> Iterator[Reader]:
    """Open an object for reading; `backup.storage` where it is missing."""
    entry = bucket.head(key)
    if entry is None:
        raise missing_object(bucket.place, key)
    yield Download(bucket, entry)


@contextlib.contextmanager
def upload_checked(bucket: Bucket, key: str) -> Iterator[PartWriter]:
    """Open an object for writing; at the end it is read again, and `backup.upload_changed` where it is another."""
    with bucket.upload(key) as sink:
        written = _Hashed(sink)
        yield written
    read = hashlib.sha256()
    with open_object(bucket, key) as stored:
        while piece := stored.read(PART_BYTES):
            read.update(piece)
    if read.digest() != written.hash.digest():
        raise upload_changed(bucket.place, key)


def explain_answer(place: str, *, status: int | None, said: str) -> MahavishnuError:
    """Return our error for an HTTP status, None without an answer; `said` is a name, since texts may hold secrets."""
    if status == 404:
        return NotFound(
            f"There is no bucket of {place}.",
            hint="Create it, with a rule that aborts unfinished uploads, or set backup.store to another one.",
            code="backup.no_bucket",
        )
    if status in {401, 403}:
        return Forbidden(
            f"{place} cannot be used with these credentials ({said}).",
            hint="They need the right to list, read, write and delete objects of the bucket: "
            "docs/how-to/back-up-to-a-bucket.md",
            code="backup.denied",
        )
    return Unavailable(
        f"{place} cannot be used now ({said}).",
        hint="Check the network and the address in backup.store, and try again.",
        code="backup.storage",
    )


def upload_changed(place: str, name: str) -> Corrupt:
    """Return the error for an upload that is not there as it was sent."""
    return Corrupt(
        f"{name} did not arrive in {place} as it was sent; the set was not made.",
        hint="Try again. Where it stays so, something on the way changes data.",
        code="backup.upload_changed",
    )


def missing_object(place: str, key: str) -> Unavailable:
    """Return the error for an object that is not there."""
    return Unavailable(
        f"{place}/{key} is missing.",
        hint="Check what is there: mahavishnu backup list",
        code="backup.storage",
    )
