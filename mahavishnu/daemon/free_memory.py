"""Leave what lasts out of collections, and give memory that is free back to the system."""

import asyncio
import ctypes
import gc
from collections.abc import Callable

TRIM_EVERY_S = 60.0


def keep_what_is_there() -> None:
    """
    Leave all objects that there are out of garbage collection, for as long as the process lives.

    After its start the daemon has 140,000, nearly all of them modules. To go through them takes 90 ms, in which nobody
    is answered, and finds nothing.
    """
    gc.freeze()


def find_trim() -> Callable[[int], int] | None:
    """
    Return `malloc_trim` of the C library; None where it has none, as any but glibc.

    asyncio reads into new blocks of 256 KiB. What stays between two of them, however small, keeps glibc from giving
    back those that are free, and a busy daemon grew by 20 to 150 MiB an hour.
    """
    trim: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return trim


async def free_memory() -> None:
    """Give back what is free once a minute, for ever, in a thread; ends where the system cannot."""
    trim = find_trim()
    while trim is not None:
        await asyncio.sleep(TRIM_EVERY_S)
        await asyncio.to_thread(trim, 0)
