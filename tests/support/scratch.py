"""Where the files of test runs go."""

import os
from pathlib import Path

MEMORY = Path("/dev/shm")  # where what is written need not reach a disk
ROOM = 4 << 30  # bytes free there that a run asks for


def find_room() -> Path | None:
    """Return a folder in memory where enough is free, else None, the usual place."""
    if not MEMORY.is_dir() or not os.access(MEMORY, os.W_OK):
        return None
    room = os.statvfs(MEMORY)
    return MEMORY if room.f_bavail * room.f_frsize >= ROOM else None
