"""A program in a terminal of its own, which is typed into as a person would."""

import contextlib
import fcntl
import os
import pty
import signal
import struct
import termios
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

_ROWS, _COLUMNS = 40, 120
_END_TIMEOUT_S = 10.0
_SUBMIT_TIMEOUT_S = 90.0


class Terminal:
    """What a program in a terminal shows, in `shown`, and a way to type."""

    def __init__(self, descriptor: int, pid: int) -> None:
        self.shown = b""
        self.pid = pid
        self._descriptor = descriptor
        self._reading = threading.Thread(target=self._read)
        self._reading.start()

    def ask(self, text: str) -> None:
        """Type a line, then, as its own stroke, the return key."""
        os.write(self._descriptor, text.encode())
        time.sleep(0.2)
        os.write(self._descriptor, b"\r")

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # the program ended
            while piece := os.read(self._descriptor, 65_536):
                self.shown += piece

    def end(self) -> None:
        """End the program, and wait for it."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)
        until = time.monotonic() + _END_TIMEOUT_S
        while os.waitpid(self.pid, os.WNOHANG)[0] == 0:
            if time.monotonic() > until:
                os.kill(self.pid, signal.SIGKILL)
            time.sleep(0.05)
        self._reading.join()
        os.close(self._descriptor)


@contextlib.contextmanager
def terminal(
    words: Sequence[str | Path], *, environ: Mapping[str, str], folder: Path
) -> Iterator[Terminal]:
    """Run a program in a terminal while the block runs."""
    pid, descriptor = pty.fork()
    if pid == 0:
        os.chdir(folder)
        os.execve(words[0], [str(word) for word in words], dict(environ))
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, _COLUMNS, 0, 0))
    started = Terminal(descriptor, pid)
    try:
        yield started
    finally:
        started.end()


class Typed(Protocol):
    """Where a client is typed into."""

    def ask(self, text: str) -> None:
        """Type a line, then, as its own stroke, the return key."""


def submit(
    where: Typed, text: str, happened: Callable[[], object], shown: Callable[[], object]
) -> None:
    """Ask, then press return until something happens: clients swallow it while they begin."""
    where.ask(text)
    end = time.monotonic() + _SUBMIT_TIMEOUT_S
    while not until(happened, timeout_s=10):
        assert time.monotonic() < end, shown()
        where.ask("")


def until(happened: Callable[[], object], *, timeout_s: float) -> bool:
    """Wait until something is true, and tell whether it came to be."""
    end = time.monotonic() + timeout_s
    while not happened():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True
