"""What every place for backup sets does: one suite for a folder and for buckets, see `Storage`."""

from datetime import UTC, datetime, timedelta

import pytest

from mahavishnu.base.errors import Conflict, MahavishnuError
from mahavishnu.database.backup.storage.port import Draft, Storage, StoredSet

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
MIB = 1 << 20
DUMP = bytes(range(256)) * 4096 * 7  # 7 MiB: more than one part of an upload


def write_part(draft: Draft, name: str, content: bytes) -> None:
    """Write a part in pieces, as it comes from a program."""
    with draft.create(name) as part:
        for start in range(0, len(content), MIB):
            assert part.write(content[start : start + MIB]) == len(content[start : start + MIB])


def make(storage: Storage, content: bytes = b"dump", at: datetime = NOW) -> StoredSet:
    """Make a set of two parts."""
    with storage.begin() as draft:
        write_part(draft, "database.dump", content)
        write_part(draft, "empty", b"")
        return draft.publish(at)


def read_part(storage: Storage, stored: StoredSet, name: str) -> bytes:
    """Read a part in pieces."""
    with storage.open(stored, name) as part:
        return b"".join(iter(lambda: part.read(MIB), b""))


class StorageContract:
    """Tests of a place; the fixture `storage` gives an empty one, `other` the same as another process has it."""

    def test_a_set_appears_whole_when_it_is_published(
        self, storage: Storage, other: Storage
    ) -> None:
        assert storage.find() == [] and storage.find_unfinished() == [] and storage.clean() == 0
        with storage.begin() as draft:
            write_part(draft, "database.dump", DUMP)
            assert other.find() == []
            [unfinished] = other.find_unfinished()
            assert unfinished.token == draft.token and unfinished.active
            write_part(draft, "manifest.json", b"{}")
            stored = draft.publish(NOW)
        assert stored.name == f"0001-20261124T080000Z-{draft.token}"
        assert other.find() == [stored] and other.find_unfinished() == []
        assert other.names(stored) == {"database.dump": len(DUMP), "manifest.json": 2}
        assert read_part(other, stored, "database.dump") == DUMP
        with other.open(stored, "manifest.json") as part:
            assert part.read() == b"{}"

    def test_an_error_leaves_nothing_of_a_set(self, storage: Storage) -> None:
        with pytest.raises(ZeroDivisionError), storage.begin() as draft:
            write_part(draft, "whole", b"x")
            with draft.create("half") as part:
                part.write(b"x")
                raise ZeroDivisionError
        assert storage.find() == [] and storage.find_unfinished() == []
        assert make(storage).number == 1

    def test_one_command_at_a_time_makes_or_deletes_sets(
        self, storage: Storage, other: Storage
    ) -> None:
        stored = make(storage)
        with storage.begin() as draft:
            write_part(draft, "database.dump", b"x")
            for refused in (lambda: make(other), lambda: other.delete(stored), other.clean):
                with pytest.raises(Conflict) as caught:
                    refused()
                assert caught.value.code == "backup.busy"
            with other.use(stored):
                assert read_part(other, stored, "database.dump") == b"dump"
            second = draft.publish(NOW)
        third = make(other)
        assert storage.find() == other.find() == [stored, second, third]

    def test_the_order_is_that_of_publishing_whatever_the_clock_says(
        self, storage: Storage
    ) -> None:
        sets = [make(storage, at=NOW - timedelta(days=days)) for days in (0, 400, 10)]
        assert storage.find() == sets and [each.number for each in sets] == [1, 2, 3]
        storage.delete(sets[0])
        assert make(storage).number == 4

    def test_a_set_in_use_is_not_deleted(self, storage: Storage, other: Storage) -> None:
        stored = make(storage)
        with storage.use(stored), other.use(stored):  # by several
            with pytest.raises(Conflict) as caught:
                other.delete(stored)
            assert caught.value.code == "backup.in_use"
        assert read_part(storage, stored, "database.dump") == b"dump"
        other.delete(stored)
        assert storage.find() == [] and storage.find_unfinished() == []
        for gone in (lambda: storage.use(stored).__enter__(), lambda: storage.delete(stored)):
            with pytest.raises(Conflict) as caught:
                gone()
            assert caught.value.code == "backup.in_use"

    def test_notes_are_put_beside_the_parts_and_replaced(
        self, storage: Storage, other: Storage
    ) -> None:
        stored = make(storage)
        with storage.use(stored):
            assert storage.read_note(stored, "proof.json") is None
            for content in (b"first", b"second"):
                storage.write_note(stored, "proof.json", content)
                assert other.read_note(stored, "proof.json") == content
        assert other.names(stored) == {"database.dump": 4, "empty": 0, "proof.json": 6}
        assert other.read_note(stored, "database.dump") == b"dump"

    def test_a_part_that_is_missing_says_so(self, storage: Storage) -> None:
        stored = make(storage)
        with pytest.raises(MahavishnuError) as caught:
            read_part(storage, stored, "absent")
        assert caught.value.code == "backup.storage"
        assert "absent" in caught.value.message and caught.value.hint
