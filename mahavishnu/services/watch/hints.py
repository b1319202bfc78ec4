"""When to look at files again: soon after one of them was written, and now and then, in case that went unnoticed."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Collection
from datetime import timedelta
from pathlib import Path

from watchfiles import Change, awatch

from mahavishnu.base.logs import get_logger

QUIET = timedelta(milliseconds=300)  # after the last of several writes
MOST = timedelta(seconds=2)  # of writes that do not end
AWAKE = timedelta(seconds=5)
_log = get_logger(__name__)


async def hints(
    find_paths: Callable[[], Collection[Path]], *, every: timedelta
) -> AsyncGenerator[None]:
    """
    Yield at once, after writes of the files that are found, and once in `every`; for ever.

    Folders are watched, not files: who replaces a file gives it another inode. One that comes later, or came again,
    is noticed within `every`. Where the system does not watch, only `every` is left.
    """
    while True:
        yield
        paths = await asyncio.to_thread(find_paths)
        names = {str(each) for path in paths for each in (path, path.resolve())}
        folders = _folders(names)
        if not folders:
            await asyncio.sleep(every.total_seconds())
            continue

        def is_ours(_: Change, path: str, names: Collection[str] = names) -> bool:
            return path in names

        try:
            watching = awatch(
                *folders,
                watch_filter=is_ours,
                recursive=False,
                step=round(QUIET.total_seconds() * 1000),
                debounce=round(MOST.total_seconds() * 1000),
                rust_timeout=round(min(every, AWAKE).total_seconds() * 1000),
                yield_on_timeout=True,
            )
            clock = asyncio.get_running_loop().time
            due = (
                clock()
            )  # the first time that nothing comes: for what was written before this watched
            async with contextlib.aclosing(watching):
                async for changes in watching:
                    if not changes and clock() < due:
                        continue
                    due = clock() + every.total_seconds()
                    yield
                    if folders != _folders(names):
                        break
        except OSError as error:  # too many watches, or a folder that went away just now
            _log.warning("files_not_watched", reason=str(error))
            await asyncio.sleep(every.total_seconds())


def _folders(names: Collection[str]) -> dict[Path, tuple[int, int]]:
    """Return the folders of files that are there, with what changes where one is made again."""
    found = {}
    for name in names:
        with contextlib.suppress(OSError):
            about = Path(name).parent.stat()
            found[Path(name).parent] = (about.st_dev, about.st_ino)
    return found
