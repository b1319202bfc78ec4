"""
Room on the disk of the embedded server: a backup, restore or drill is ended before PostgreSQL lacks it.

A checkpoint or log that finds no room ends the whole server, and with it the database in use; the next start
may lack the room to read the log again. PostgreSQL has no limit of its own for that.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

from mahavishnu.base.errors import MahavishnuError, Unavailable

# A few segments of the log, of 16 MiB each, and what is written between two looks.
DATABASE_FLOOR_BYTES = 64 * 1024 * 1024
SET_FLOOR_BYTES = 16 * 1024 * 1024
_LOOK_S = 0.02


def has_room(disk: Path | None, floor_bytes: int) -> bool:
    """Tell whether a disk has this left; None is the disk of another machine, which may have it."""
    if disk is None:
        return True
    found = os.statvfs(disk)
    return found.f_bavail * found.f_frsize >= floor_bytes


@contextlib.asynccontextmanager
async def keeping_room(disk: Path | None, floor_bytes: int) -> AsyncIterator[None]:
    """
    Cancel the block as soon as a disk has less than this left.

    Raises:
        Unavailable: `backup.no_room`.
    """
    if disk is None:
        yield
        return
    if not has_room(disk, floor_bytes):
        raise _no_room(disk, floor_bytes)
    limit = asyncio.timeout(None)
    watch = asyncio.create_task(_watch(disk, floor_bytes, limit))
    try:
        async with limit:
            yield
    except (TimeoutError, MahavishnuError) as error:
        if limit.expired():
            raise _no_room(disk, floor_bytes) from error
        raise
    finally:
        watch.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watch


async def _watch(disk: Path, floor_bytes: int, limit: asyncio.Timeout) -> None:
    while has_room(disk, floor_bytes):  # noqa: ASYNC110 - a disk tells nobody
        await asyncio.sleep(_LOOK_S)
    limit.reschedule(asyncio.get_running_loop().time())


def _no_room(disk: Path, floor_bytes: int) -> Unavailable:
    return Unavailable(
        f"The disk of the database ({disk}) would have less than {floor_bytes >> 20} MiB left; the "
        "database is as it was.",
        hint="Free some space, for example with mahavishnu backup prune, or set backup.store to "
        "another disk.",
        code="backup.no_room",
    )
