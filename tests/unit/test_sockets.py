"""Socket folders: which leftovers are surely ours and dead, and that the others stay."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mahavishnu.base.processes import ProcessIdentity
from mahavishnu.database.embedded.sockets import (
    LOCK_FILE,
    SocketFolder,
    folder_name,
    remove_leftovers,
)
from mahavishnu.database.embedded.state import SOCKET, KeeperRecord, parse_failure, read_failure

DEAD = 2**22 + 1  # beyond the highest pid of Linux
type Leave = Callable[..., Path]


@pytest.fixture
def leave(tmp_path: Path) -> Leave:
    """Return a function that leaves a socket folder behind, as a crash does."""

    def leave(*files: str, pid: int = DEAD, cluster: Path | None = None, name: str = "") -> Path:
        home = tmp_path / "home"
        folder = tmp_path / (name or folder_name(home))
        folder.mkdir(mode=0o700)
        for file in files:
            (folder / file).write_text(f"{pid}\n{cluster or home}\n1700000000\n5432\n")
        return folder

    return leave


@pytest.mark.parametrize("files", [(), (LOCK_FILE,), (SOCKET, LOCK_FILE)])
def test_what_a_dead_server_left_is_removed(
    tmp_path: Path, leave: Leave, files: tuple[str, ...]
) -> None:
    left = leave(*files)
    remove_leftovers(tmp_path)
    assert not left.exists()


def test_a_held_folder_stays(tmp_path: Path, leave: Leave) -> None:
    held = leave()
    descriptor = os.open(held, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    remove_leftovers(tmp_path)
    assert held.exists()
    os.close(descriptor)
    remove_leftovers(tmp_path)
    assert not held.exists()


def test_what_may_be_served_stays(tmp_path: Path, leave: Leave) -> None:
    living = leave(SOCKET, LOCK_FILE, pid=os.getpid())
    remove_leftovers(tmp_path)
    assert sorted(path.name for path in living.iterdir()) == [SOCKET, LOCK_FILE]


@pytest.mark.parametrize(
    ("files", "changes"),
    [
        ((SOCKET,), {}),
        ((SOCKET, LOCK_FILE), {"cluster": Path("/srv/other")}),
        (("notes",), {}),
        ((), {"name": "mahavishnu-notes"}),
        ((), {"name": f"mahavishnu-{os.getuid() + 1}-0123456789ab"}),
    ],
    ids=["no pid", "another cluster", "other files", "another name", "another user's name"],
)
def test_what_is_not_surely_ours_stays(
    tmp_path: Path, leave: Leave, files: tuple[str, ...], changes: dict[str, object]
) -> None:
    folder = leave(*files, **changes)
    remove_leftovers(tmp_path)
    assert sorted(path.name for path in folder.iterdir()) == sorted(files)


def test_links_and_open_folders_stay(tmp_path: Path, leave: Leave) -> None:
    opened = leave()
    opened.chmod(0o755)
    aside = tmp_path / "aside"
    aside.mkdir(mode=0o700)
    link = tmp_path / f"mahavishnu-{os.getuid()}-0123456789ab"
    link.symlink_to(aside)
    remove_leftovers(tmp_path)
    assert opened.exists() and link.is_symlink() and aside.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_folder_of_another_user_stays(tmp_path: Path, leave: Leave) -> None:
    foreign = leave()
    os.chown(foreign, 1500, 1500)
    remove_leftovers(tmp_path)
    assert foreign.exists()


def test_a_folder_that_went_or_was_replaced_is_not_touched(tmp_path: Path, leave: Leave) -> None:
    path = leave(SOCKET, LOCK_FILE)
    held = SocketFolder(path, os.open(path, os.O_RDONLY))
    assert held.has_socket
    path.rename(tmp_path / "aside")
    assert not held.has_socket
    leave(SOCKET)
    assert not held.has_socket
    held.remove()
    assert (path / SOCKET).exists()


@pytest.mark.parametrize("garbage", [b"", b"\xff", b"[1]", b'{"kind": []}', b"[" * 100_000])
def test_a_damaged_word_of_a_keeper_is_an_error_of_ours(tmp_path: Path, garbage: bytes) -> None:
    path = tmp_path / "failure"
    path.write_bytes(garbage)
    assert parse_failure(read_failure(path) or "").code == "database.keeper_failed"


def test_a_record_replaces_all_that_stood_there(tmp_path: Path) -> None:
    path = tmp_path / "keeper.lock"
    path.write_bytes(b"x" * 4096)
    record = KeeperRecord(ProcessIdentity(1, "a"), "serving", ProcessIdentity(2, "b"))
    with path.open("r+b") as stream:
        record.write(stream.fileno())
    assert KeeperRecord.read(path) == record
