"""Socket folders: which leftovers are surely ours and dead, and that the others stay."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mahavishnu.database.embedded.sockets import (
    LOCK_FILE,
    SOCKET,
    folder_name,
    remove_leftovers,
)

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
