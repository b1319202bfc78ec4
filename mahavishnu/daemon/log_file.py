"""The log of a daemon that has no terminal: bounded, and there again where somebody removed it."""

import asyncio
import os
from pathlib import Path

from mahavishnu.base.paths import private_folder

MAX_BYTES = 10 * 1024 * 1024
LOOK_EVERY_S = 30.0


def open_log(path: Path) -> int:
    """Return a descriptor to write the log on; a long one is put aside first, as `….1`."""
    private_folder(path.parent)
    if path.exists() and path.stat().st_size > MAX_BYTES:
        path.replace(path.with_name(f"{path.name}.1"))
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)


def leads_to(path: Path) -> bool:
    """Tell whether this process writes its messages on the file at `path`."""
    try:
        return os.path.samestat(path.stat(), os.fstat(2))
    except OSError:  # no such file, or no such stream
        return False


async def keep_log(path: Path) -> None:
    """Renew what this process writes on when its log became long or was removed, for ever."""
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        renew_log(path)


def renew_log(path: Path) -> None:
    """Let stdout and stderr lead to a new file, where theirs is long or is not at `path` any more."""
    written = os.fstat(2)
    try:
        there = path.stat()
        same = (there.st_dev, there.st_ino) == (written.st_dev, written.st_ino)
        if same and written.st_size <= MAX_BYTES:
            return
        log = open_log(path)
    except FileNotFoundError:
        log = open_log(path)
    except OSError:  # a full disk, say: the old one goes on
        return
    for standard in (1, 2):
        os.dup2(log, standard)
    os.close(log)
