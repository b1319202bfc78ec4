"""
Stdin and stdout as lines: read without blocking, written by one thread alone, whole and in order.

Both threads are daemons: one may sit in a read that nobody ends, the other in a write to somebody who
does not read, and neither keeps the process from ending.
"""

import asyncio
import contextlib
import os
import queue
import select
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

READ_AHEAD = 4  # lines
HEAD = 4_096  # bytes that are kept of either end of a line that is too long


@dataclass(frozen=True)
class Overlong:
    """A line that was too long to be kept, by its beginning and its end."""

    head: bytes
    tail: bytes = b""


class LineWriter:
    """Writes lines one after the other; what was given to it is written, whoever stops waiting."""

    def __init__(self, write: Callable[[bytes], object], *, room: int) -> None:
        self._write = write
        self._loop = asyncio.get_running_loop()
        self._waiting: queue.SimpleQueue[tuple[bytes, asyncio.Future[None]]] = queue.SimpleQueue()
        self._count = 0
        self._room = room
        self._roomy = asyncio.Event()
        self._roomy.set()
        threading.Thread(target=self._work, daemon=True).start()

    async def write(self, line: bytes) -> None:
        """Wait until a line is written; raises `BrokenPipeError` where nobody reads any more."""
        written: asyncio.Future[None] = self._loop.create_future()
        written.add_done_callback(self._count_down)
        self._count += 1
        if self._count >= self._room:
            self._roomy.clear()
        self._waiting.put((line, written))
        await asyncio.shield(written)

    async def room(self) -> None:
        """Wait while too many lines are still to be written."""
        await self._roomy.wait()

    def _count_down(self, written: "asyncio.Future[None]") -> None:
        written.exception()  # seen, also where nobody waits any more
        self._count -= 1
        if self._count < self._room:
            self._roomy.set()

    def _work(self) -> None:
        while True:
            line, written = self._waiting.get()
            error: OSError | None = None
            try:
                self._write(line)
            except OSError as met:
                error = met
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(_tell, written, error)


def _tell(written: "asyncio.Future[None]", error: OSError | None) -> None:
    if error is None:
        written.set_result(None)
    else:
        written.set_exception(error)


async def read_lines(limit: int) -> AsyncIterator[bytes | Overlong]:
    """Yield the lines of stdin without blanks; of one of more than `limit` bytes its ends."""
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[Any] = asyncio.Queue()
    ahead = threading.Semaphore(READ_AHEAD)
    end = object()

    def tell(item: object) -> None:
        ahead.acquire()  # a client that only sends is not read from
        with contextlib.suppress(RuntimeError):  # the loop has ended before the client did
            loop.call_soon_threadsafe(lines.put_nowait, item)

    def read() -> None:
        for line in split_lines(iter(_read_piece, b""), limit):
            if isinstance(line, Overlong):
                tell(line)
            elif line.strip():
                tell(line.strip())
        tell(end)

    threading.Thread(target=read, daemon=True).start()
    while (item := await lines.get()) is not end:
        ahead.release()
        yield item


def split_lines(pieces: Iterable[bytes], limit: int) -> Iterator[bytes | Overlong]:
    """Yield the lines of a stream; in the place of one of more than `limit` bytes its ends."""
    rest = b""
    over: Overlong | None = None
    for piece in pieces:
        *ends, last = piece.split(b"\n")
        for part in ends:
            over = _overlong(over, rest, part, limit)
            yield over or rest + part
            rest, over = b"", None
        over = _overlong(over, rest, last, limit)
        rest = b"" if over else rest + last
    if rest or over:
        yield over or rest


def _overlong(over: Overlong | None, rest: bytes, part: bytes, limit: int) -> Overlong | None:
    """Return what is kept of a line that goes on with `part`; None as long as it may be so long."""
    if over is not None:
        return Overlong(over.head, (over.tail + part)[-HEAD:])
    if len(rest) + len(part) <= limit:
        return None
    whole = rest + part
    return Overlong(whole[:HEAD], whole[-HEAD:])


def _read_piece() -> bytes:
    """Read from stdin, past Python's buffer: its lock would be held when the process ends."""
    try:
        return os.read(0, 1 << 16)
    except OSError:
        return b""


def take_stdout() -> Callable[[bytes], None]:
    """
    Take stdout for the protocol alone; whatever else prints goes to stderr from now on.

    Returns what writes a line whole, though another program made the stream non-blocking.
    """
    sys.stdout.flush()
    out = os.dup(1)
    os.dup2(2, 1)

    def write(line: bytes) -> None:
        rest = memoryview(line)
        while rest:
            try:
                rest = rest[os.write(out, rest) :]
            except BlockingIOError:
                select.select([], [out], [])

    return write
