"""Backup sets in a bucket, on a fake whose clock and answers a test decides; `tests/peers` has the real ones."""

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from mahavishnu.base.errors import Conflict, Unavailable
from mahavishnu.database.backup.storage.bucket import Entry
from mahavishnu.database.backup.storage.bucket_sets import LOCK, BucketStorage
from tests.support.backup_storage_contract import NOW, StorageContract, make, read_part, write_part
from tests.support.daemon import wait_until

LATER = timedelta(minutes=6)


@dataclass
class FakeBucket:
    """A bucket in memory; `loses_answers` makes conditional writes that nobody hears of."""

    place: str = "fake://bucket"
    now: datetime = datetime(2030, 1, 1, tzinfo=UTC)  # not ours
    loses_answers: bool = False
    objects: dict[str, tuple[bytes, Entry]] = field(default_factory=dict)
    turn: threading.RLock = field(default_factory=threading.RLock)

    def find(self, prefix: str) -> list[Entry]:
        with self.turn:
            return [entry for key, (_, entry) in self.objects.items() if key.startswith(prefix)]

    def head(self, key: str) -> Entry | None:
        with self.turn:
            return self.objects[key][1] if key in self.objects else None

    def read(self, key: str, start: int, size: int) -> bytes:
        return self.objects[key][0][start : start + size]

    def put(self, key: str, content: bytes) -> datetime:
        with self.turn:
            before = self.head(key)
            version = str(int(before.version) + 1 if before else 1)
            self.objects[key] = (content, Entry(key, len(content), self.now, version))
            return self.now

    def put_if(self, key: str, content: bytes, version: str | None) -> str | None:
        with self.turn:
            before = self.head(key)
            if version != (before.version if before else None):
                return None
            self.put(key, content)
            if self.loses_answers:
                return None  # what a client says that repeated the request
            return self.objects[key][1].version

    @contextlib.contextmanager
    def upload(self, key: str) -> Iterator[bytearray]:
        class Sink(bytearray):
            def write(self, data: bytes) -> int:
                self.extend(data)
                return len(data)

        sink = Sink()
        yield sink
        self.put(key, bytes(sink))

    def delete(self, keys: list[str]) -> None:
        with self.turn:
            for key in keys:
                self.objects.pop(key, None)


@pytest.fixture
def bucket() -> FakeBucket:
    return FakeBucket()


@pytest.fixture
def storage(bucket: FakeBucket) -> BucketStorage:
    return BucketStorage(bucket)


@pytest.fixture
def other(bucket: FakeBucket) -> BucketStorage:
    return BucketStorage(bucket)


class TestFake(StorageContract):
    """The fake as well."""


def test_who_lost_the_lock_publishes_nothing(
    bucket: FakeBucket, storage: BucketStorage, other: BucketStorage
) -> None:
    with storage.begin() as draft:
        write_part(draft, "database.dump", b"x")
        with pytest.raises(Conflict) as busy:
            make(other)
        assert busy.value.code == "backup.busy"
        bucket.now += LATER
        with other.begin() as second:
            write_part(second, "database.dump", b"of the second")
            with pytest.raises(Unavailable) as caught:
                draft.publish(NOW)
            assert caught.value.code == "backup.lock_lost"
            stored = second.publish(NOW)
    assert storage.find() == [stored] and storage.find_unfinished() == []
    assert read_part(storage, stored, "database.dump") == b"of the second"


def test_who_was_late_and_had_no_successor_publishes(
    bucket: FakeBucket, storage: BucketStorage
) -> None:
    with storage.begin() as draft:
        write_part(draft, "database.dump", b"x")
        bucket.now += LATER
        [unfinished] = storage.find_unfinished()
        assert not unfinished.active
        assert storage.find() == [] and draft.publish(NOW) in storage.find()


def test_a_write_whose_answer_was_lost_counts(bucket: FakeBucket, storage: BucketStorage) -> None:
    bucket.loses_answers = True
    sets = [make(storage) for _ in range(2)]
    storage.delete(sets[0])
    assert storage.find() == sets[1:]


def test_a_holder_renews_its_lock_and_its_use(bucket: FakeBucket) -> None:
    storage = BucketStorage(bucket, renew_s=0.01)
    stored = make(storage)
    with storage.begin() as draft, storage.use(stored):
        [user] = bucket.find(f"users/{stored.token}/")
        for key in (LOCK, user.key):
            before = bucket.head(key)
            wait_until(lambda key=key, before=before: bucket.head(key) != before)
        write_part(draft, "database.dump", b"x")
        draft.publish(NOW)
    assert len(storage.find()) == 2 and bucket.find("users/") == []


def test_a_user_that_was_killed_keeps_no_set_for_ever(
    bucket: FakeBucket, storage: BucketStorage
) -> None:
    stored = make(storage)
    bucket.put(f"users/{stored.token}/01234567", b"")
    with pytest.raises(Conflict) as caught:
        storage.delete(stored)
    assert caught.value.code == "backup.in_use"
    bucket.now += LATER
    storage.delete(stored)
    assert storage.find() == [] and bucket.find("users/") == []


def test_a_set_that_is_being_deleted_cannot_be_used(
    bucket: FakeBucket, storage: BucketStorage, other: BucketStorage
) -> None:
    """The deletion has looked for users, and not yet removed the marker."""
    stored = make(storage)

    class Noticing(FakeBucket):
        def delete(self, keys: list[str]) -> None:
            if f"sets/{stored.name}" in keys:
                with pytest.raises(Conflict) as caught, other.use(stored):
                    pass
                refused.append(caught.value.code)
            bucket.delete(keys)

    refused: list[str] = []
    BucketStorage(Noticing(objects=bucket.objects, turn=bucket.turn)).delete(stored)
    assert refused == ["backup.in_use"] and storage.find() == []


def test_a_deletion_that_was_killed_is_ended_by_the_next_command(
    bucket: FakeBucket, storage: BucketStorage
) -> None:
    stored = make(storage)
    bucket.delete([f"sets/{stored.name}"])  # the first step of one
    [left] = storage.find_unfinished()
    assert (left.token, left.active) == (stored.token, False)
    assert storage.clean() == 1 and bucket.find("parts/") == []
