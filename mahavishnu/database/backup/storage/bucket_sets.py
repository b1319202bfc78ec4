"""
Backup sets in a bucket of a cloud: the parts first, then a marker that lets the set appear.

    lock              who makes or deletes sets; written on condition that it was not changed since
    sets/NAME         a marker for each set
    parts/TOKEN/PART  its parts and notes
    users/TOKEN/...   who reads it

A bucket does not notice that a process ended. So whoever holds something writes it again every minute, and what
was not written for five minutes, by the clock of the cloud, belongs to nobody.
"""

import contextlib
import secrets
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from mahavishnu.base.errors import MahavishnuError, Unavailable, UsageError
from mahavishnu.database.backup.storage.bucket import (
    Bucket,
    Download,
    Entry,
    open_object,
    upload_checked,
)
from mahavishnu.database.backup.storage.port import (
    Draft,
    PartWriter,
    Reader,
    StoredSet,
    Unfinished,
    busy,
    in_use,
    name_set,
    parse_set,
)

LOCK, CLOCK, SETS, PARTS, USERS = "lock", "clock", "sets/", "parts/", "users/"
LEASE = timedelta(minutes=5)
RENEW_S = 60.0


class _Holding(msgspec.Struct, frozen=True):
    """What the lock says: whose it is (nobody's without a token), for which set, and how often it was renewed."""

    token: str = ""
    deleting: bool = False
    holder: str = ""
    renewed: int = 0


@dataclass
class _Lock:
    """The lock, held; `renew` tells whether it still is."""

    bucket: Bucket
    holding: _Holding
    version: str | None
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def write(self, holding: _Holding) -> bool:
        """Write the lock if nobody else did; a request that was repeated after a lost answer is ours, too."""
        written = self.bucket.put_if(LOCK, msgspec.json.encode(holding), self.version)
        if written is None:
            entry, found = _read_lock(self.bucket)
            written = entry.version if entry and found == holding else None
        if written is not None:
            self.version, self.holding = written, holding
        return written is not None

    def renew(self) -> None:
        with self._turn:
            again = msgspec.structs.replace(self.holding, renewed=self.holding.renewed + 1)
            if not self.write(again):
                raise Unavailable(
                    f"This command lost its lock on {self.bucket.place}; nothing was changed.",
                    hint="It did not reach the bucket for minutes, and another command took over. Try again.",
                    code="backup.lock_lost",
                )

    def release(self) -> None:
        with self._turn:
            self.write(_Holding())


@dataclass(frozen=True)
class _BucketDraft:
    """A set in the making, whose parts nobody looks for before its marker is there."""

    bucket: Bucket
    token: str
    lock: _Lock

    def create(self, name: str) -> contextlib.AbstractContextManager[PartWriter]:
        return upload_checked(self.bucket, f"{PARTS}{self.token}/{name}")

    def publish(self, created_at: datetime) -> StoredSet:
        newest = max((each.number for each in _finished(self.bucket)), default=0)
        stored = name_set(newest + 1, created_at, self.token)
        self.lock.renew()  # whoever took over has removed the parts
        self.bucket.put(SETS + stored.name, b"")
        return stored


class BucketStorage:
    """A place for sets on another machine."""

    def __init__(
        self, bucket: Bucket, *, lease: timedelta = LEASE, renew_s: float = RENEW_S
    ) -> None:
        self.bucket = bucket
        self._lease = lease
        self._renew_s = renew_s

    def shares_disk(self, folder: Path | None) -> bool:  # noqa: ARG002 - of the port
        return False

    @contextlib.contextmanager
    def begin(self) -> Iterator[Draft]:
        token = secrets.token_hex(4)
        with self._changing(token) as lock:
            self._remove_leftovers()
            try:
                yield _BucketDraft(self.bucket, token, lock)
            finally:
                with contextlib.suppress(MahavishnuError):  # the next command tries again
                    self._remove_leftovers(token)  # alone: another one may have the lock by now

    def find(self) -> list[StoredSet]:
        return sorted(_finished(self.bucket))

    def find_unfinished(self) -> list[Unfinished]:
        held = self._holding()
        sizes = {held.token: 0} if held.token and not held.deleting else {}
        for token, entries in self._leftovers().items():
            sizes[token] = sum(each.size_bytes for each in entries)
        finished = {each.token for each in self.find()}
        return [
            Unfinished(token, token == held.token, size)
            for token, size in sizes.items()
            if token not in finished
        ]

    def clean(self) -> int:
        if not self._leftovers():
            return 0
        with self._changing(secrets.token_hex(4)):
            return self._remove_leftovers()

    def names(self, stored: StoredSet) -> dict[str, int]:
        entries = self.bucket.find(f"{PARTS}{stored.token}/")
        return {each.key.rpartition("/")[2]: each.size_bytes for each in entries}

    def open(self, stored: StoredSet, name: str) -> contextlib.AbstractContextManager[Reader]:
        return open_object(self.bucket, f"{PARTS}{stored.token}/{name}")

    def read_note(self, stored: StoredSet, name: str) -> bytes | None:
        entry = self.bucket.head(f"{PARTS}{stored.token}/{name}")
        return None if entry is None else Download(self.bucket, entry).read()

    def write_note(self, stored: StoredSet, name: str, content: bytes) -> None:
        self.bucket.put(f"{PARTS}{stored.token}/{name}", content)

    @contextlib.contextmanager
    def use(self, stored: StoredSet) -> Iterator[None]:
        key = f"{USERS}{stored.token}/{secrets.token_hex(4)}"
        self.bucket.put(key, b"")  # before looking, as `delete` does: of two, one sees the other
        try:
            held = self._holding()
            if (held.deleting and held.token == stored.token) or not self._is_there(stored):
                raise in_use(stored)
            with self._renewing(lambda: self.bucket.put(key, b"")):
                yield
        finally:
            with contextlib.suppress(MahavishnuError):
                self.bucket.delete([key])

    def delete(self, stored: StoredSet) -> None:
        with self._changing(stored.token, deleting=True):
            users = self.bucket.find(f"{USERS}{stored.token}/")
            if any(map(self._lives, users)) or not self._is_there(stored):
                raise in_use(stored)
            self.bucket.delete([SETS + stored.name])
            parts = self.bucket.find(f"{PARTS}{stored.token}/")
            self.bucket.delete([each.key for each in (*parts, *users)])

    @contextlib.contextmanager
    def _changing(self, token: str, *, deleting: bool = False) -> Iterator[_Lock]:
        """Be the only one that makes or deletes sets during the block."""
        entry, held = _read_lock(self.bucket)
        lock = _Lock(self.bucket, held, entry.version if entry else None)
        taken = entry is not None and held.token and self._lives(entry)
        if taken or not lock.write(_Holding(token, deleting, secrets.token_hex(8))):
            raise busy(self.bucket.place)
        try:
            self._require_conditions(lock)
            with self._renewing(lock.renew):
                yield lock
        finally:
            with contextlib.suppress(MahavishnuError):  # it ends by itself
                lock.release()

    def _require_conditions(self, lock: _Lock) -> None:
        """Try to write the lock as if it were not there, which must fail."""
        if self.bucket.put_if(LOCK, msgspec.json.encode(lock.holding), None) is not None:
            raise UsageError(
                f"{self.bucket.place} is of a service that ignores the conditions of a write.",
                hint="Set backup.store to a service that keeps If-None-Match and If-Match: without these, two "
                "commands would write over each other.",
                code="backup.no_conditions",
            )

    @contextlib.contextmanager
    def _renewing(self, renew: Callable[[], object]) -> Iterator[None]:
        """Do it again and again during the block; what fails is tried the next time."""
        ended = threading.Event()

        def repeat() -> None:
            while not ended.wait(self._renew_s):
                with contextlib.suppress(MahavishnuError):
                    renew()

        thread = threading.Thread(target=repeat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _holding(self) -> _Holding:
        """Return what the lock says while somebody holds it."""
        entry, held = _read_lock(self.bucket)
        return held if entry and held.token and self._lives(entry) else _Holding()

    def _lives(self, entry: Entry) -> bool:
        return self.bucket.put(CLOCK, b"") - entry.modified_at < self._lease

    def _is_there(self, stored: StoredSet) -> bool:
        return self.bucket.head(SETS + stored.name) is not None

    def _leftovers(self) -> dict[str, list[Entry]]:
        """Return the parts that belong to no set, by token."""
        found: dict[str, list[Entry]] = {}
        # The parts before the markers, since a set may be published meanwhile.
        for entry in self.bucket.find(PARTS):
            found.setdefault(entry.key.split("/")[1], []).append(entry)
        finished = {each.token for each in _finished(self.bucket)}
        return {token: entries for token, entries in found.items() if token not in finished}

    def _remove_leftovers(self, token: str | None = None) -> int:
        leftovers = {k: v for k, v in self._leftovers().items() if token in (None, k)}
        self.bucket.delete([each.key for entries in leftovers.values() for each in entries])
        return len(leftovers)


def _finished(bucket: Bucket) -> list[StoredSet]:
    found = [parse_set(each.key.removeprefix(SETS)) for each in bucket.find(SETS)]
    return [each for each in found if each is not None]


def _read_lock(bucket: Bucket) -> tuple[Entry | None, _Holding]:
    """Return the lock and what it says; one that cannot be read is nobody's."""
    entry = bucket.head(LOCK)
    if entry is None or not entry.size_bytes:
        return entry, _Holding()
    try:
        return entry, msgspec.json.decode(bucket.read(LOCK, 0, entry.size_bytes), type=_Holding)
    except msgspec.DecodeError:
        return entry, _Holding()
