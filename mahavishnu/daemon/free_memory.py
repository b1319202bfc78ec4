"""Give memory that is free back to the system, which the C library keeps."""

import asyncio
import ctypes
from collections.abc import Callable

TRIM_EVERY_S = 60.0


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
