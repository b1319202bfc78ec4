"""A small disk for the data of a command, which can be full; only root can mount it."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from mahavishnu.database.embedded.state import KeeperRecord, Layout
from tests.support.daemon import wait_until


@contextlib.contextmanager
def small_disk(folder: Path, size_mb: int) -> Iterator[None]:
    """Mount a disk of its own at a new folder; at the end wait until the server in it has ended."""
    folder.mkdir()
    options = f"size={size_mb}m,mode=0700"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True)
    try:
        yield
    finally:
        record = KeeperRecord.read(Layout(folder / "data/postgres").keeper_lock)
        if record:
            wait_until(lambda: not record.keeper.alive)
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(path: Path, *, leave_mb: float) -> None:
    """Fill the disk of a new file by it, except for some megabytes."""
    room = os.statvfs(path.parent)
    size = room.f_bavail * room.f_frsize - int(leave_mb * 1024 * 1024)
    with path.open("wb") as ballast:
        os.posix_fallocate(ballast.fileno(), 0, size)
