"""What clients can cause again and again is logged once a minute, with how often it was not."""

import asyncio
import logging
import time
from collections.abc import Callable

EVERY_S = 60.0
MAX_KINDS = 256
LIBRARIES = ("uvicorn.error", "asyncio")


class LimitedLog:
    """Tells what may be said now; each kind on its own."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._said: dict[str, tuple[float | None, int]] = {}

    def ask(self, kind: str) -> int | None:
        """Return how often this was left out since it was said, or None where it is left out now."""
        now = self._clock()
        said_at, left_out = self._said.get(kind, (None, 0))
        if said_at is not None and now - said_at < EVERY_S:
            self._said[kind] = (said_at, left_out + 1)
            return None
        if len(self._said) >= MAX_KINDS:
            self._said.clear()
        self._said[kind] = (now, 0)
        return left_out


class Quiet(logging.Filter):
    """Lets a library's message pass seldom, and a request that is cut off at the end not at all."""

    def __init__(self, limits: LimitedLog) -> None:
        super().__init__()
        self._limits = limits

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether to log it; the number of those left out is put behind it."""
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, asyncio.CancelledError):  # beyond `server.drain_timeout`
            return False
        text = str(record.msg)
        unsaid = self._limits.ask(f"{text.partition('\n')[0]} {type(error).__name__}")
        if unsaid:
            record.msg = f"{text.rstrip()} (and {unsaid:,} times before)"
        return unsaid is not None


def limit_log() -> None:
    """Let the libraries below the server, which log each time, do so seldom."""
    for name in LIBRARIES:
        logger = logging.getLogger(name)
        if not any(isinstance(each, Quiet) for each in logger.filters):
            logger.addFilter(Quiet(LimitedLog()))
