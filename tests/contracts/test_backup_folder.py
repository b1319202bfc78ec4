"""Backup sets in a folder: the contract, no room at any write, folders that vanish or belong to others."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from mahavishnu.base.errors import Forbidden, MahavishnuError, Unavailable
from mahavishnu.database.backup.storage.folder import LocalFolder
from tests.support.backup_storage_contract import NOW, StorageContract, make, read_part, write_part
from tests.support.command import ROOT, close_to_others, leave_root

PAGE = 4096


@pytest.fixture
def storage(tmp_path: Path) -> LocalFolder:
    return LocalFolder(tmp_path / "sets")


@pytest.fixture
def other(storage: LocalFolder) -> LocalFolder:
    return LocalFolder(storage.root)


class TestFolder(StorageContract):
    """A folder of this machine."""


@contextlib.contextmanager
def disk(folder: Path, options: str) -> Iterator[LocalFolder]:
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"mode=0700,{options}", "tmpfs", str(folder)]
    subprocess.run(words, check=True)
    try:
        yield LocalFolder(folder / "sets")
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def test_sets_are_for_their_owner_alone(storage: LocalFolder) -> None:
    folder = storage.root / make(storage).name
    assert {path.stat().st_mode & 0o777 for path in (storage.root, folder)} == {0o700}
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert storage.shares_disk(folder) and not storage.shares_disk(None)


def test_what_a_kill_left_is_listed_and_removed(storage: LocalFolder) -> None:
    def leave() -> None:
        (storage.root / ".making-0123abcd").mkdir(parents=True)
        (storage.root / ".making-0123abcd/database.dump").write_bytes(b"half")
        (storage.root / ".deleting-89abcdef").mkdir()

    leave()
    assert [(e.token, e.active, e.size_bytes) for e in storage.find_unfinished()] == [
        ("89abcdef", False, 0),
        ("0123abcd", False, 4),
    ]
    assert storage.clean() == 2 and storage.find_unfinished() == []
    leave()
    with storage.begin() as draft:
        assert [each.token for each in storage.find_unfinished()] == [draft.token]


@pytest.mark.skipif(not ROOT, reason="only root can mount a small file system")
@pytest.mark.parametrize("lacking", ["size", "nr_inodes"])
def test_without_room_at_any_write_a_set_is_whole_or_not_there(
    tmp_path: Path, lacking: str
) -> None:
    made = 0
    for level in range(1, 14):
        amount = level * PAGE if lacking == "size" else level
        with disk(tmp_path / f"{lacking}{level}", f"{lacking}={amount}") as storage:
            try:
                stored = make(storage, b"x" * 5000)
                made += 1
                assert read_part(storage, stored, "database.dump") == b"x" * 5000
            except Unavailable as error:
                assert error.code == "backup.disk_full" and error.hint, level
                assert storage.find() == [] and storage.find_unfinished() == []
                assert not made, "with less room there was one"
                left = list(storage.root.iterdir()) if storage.root.exists() else []
                assert {path.name for path in left} <= {"lock"}
    assert 0 < made < 13


@pytest.mark.skipif(not ROOT, reason="only root can mount a small file system")
def test_on_a_full_disk_a_note_stays_and_a_set_can_be_deleted(tmp_path: Path) -> None:
    with disk(tmp_path / "small", "size=100k") as storage:
        sets = [make(storage) for _ in range(2)]
        storage.write_note(sets[1], "proof.json", b"the former one")
        with pytest.raises(Unavailable), storage.begin() as draft:
            write_part(draft, "database.dump", bytes(100_000))
        filler = storage.root / "filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as stream:
            while stream.write(bytes(PAGE)):
                pass
        with pytest.raises(Unavailable) as caught:
            storage.write_note(sets[1], "proof.json", b"x" * PAGE)
        assert caught.value.code == "backup.disk_full"
        assert storage.read_note(sets[1], "proof.json") == b"the former one"
        storage.delete(sets[0])
        make(storage)


def test_a_folder_that_vanishes_meanwhile_is_an_error(storage: LocalFolder) -> None:
    with pytest.raises(MahavishnuError) as caught, storage.begin() as draft:
        with draft.create("database.dump") as part:
            shutil.rmtree(storage.root)
            part.write(b"x")
        draft.publish(NOW)
    assert caught.value.code == "backup.storage" and caught.value.hint
    assert storage.find() == []


def test_a_folder_that_cannot_be_read_is_not_an_empty_one(tmp_path: Path) -> None:
    storage = LocalFolder(tmp_path / "closed/sets")
    storage.root.parent.mkdir()
    make(storage)
    close_to_others(storage.root.parent, 0o000)
    child = os.fork()
    if not child:  # as somebody whose folder it is not
        leave_root()
        try:
            storage.find()
        except Forbidden as error:
            os._exit(0 if error.code == "backup.folder" else 2)
        os._exit(1)
    _, status = os.waitpid(child, 0)
    storage.root.parent.chmod(0o700)
    assert status == 0 and len(storage.find()) == 1
