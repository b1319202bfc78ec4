"""Run a command of the user's to its end: its streams, and what ends it early."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import BinaryIO

from mahavishnu.base.errors import NotFound
from mahavishnu.operations.runners import is_held, open_lifeline

MAX_TAIL = 10_000  # bytes of stderr that are kept
MAX_LINE = 1024 * 1024  # bytes; what is longer is shown as several lines
GRACE_S = 10.0  # from SIGTERM to SIGKILL, for one of several commands


class Command:
    """
    A command that is run once, with this terminal as its own.

    With a `lifeline` it is one of several: it has no stdin, and each line that it prints begins with `prefix`.
    It is in a process group of its own, which ends when the lifeline is cut.
    """

    def __init__(
        self, words: tuple[str, ...], *, folder: Path | None, prefix: str, lifeline: Path | None
    ) -> None:
        self._words = words
        self._folder = folder
        self._prefix = prefix.encode()
        self._lifeline = lifeline
        self._process: asyncio.subprocess.Process | None = None
        self.is_asked_to_end = False

    async def run(self) -> tuple[int, str]:
        """Return its exit code, negative for a signal, and the end of its stderr."""
        if self._folder is not None and not self._folder.is_dir():
            raise NotFound(f"The folder {self._folder} is gone.", code="workflow.no_folder")
        shared = self._lifeline is not None
        pipe = asyncio.subprocess.PIPE
        with self._endings():
            try:
                process = await asyncio.create_subprocess_exec(
                    *self._words, cwd=self._folder, stderr=pipe, stdout=pipe if shared else None,
                    stdin=asyncio.subprocess.DEVNULL if shared else None,
                    process_group=0 if shared else None,
                )  # fmt: skip
            except OSError as error:
                raise NotFound(
                    f"{self._words[0]} cannot be started ({error.strerror}).",
                    code="workflow.not_started",
                ) from error
            self._process = process
            if self.is_asked_to_end:
                self._end()
            try:
                tail, _ = await asyncio.gather(
                    self._copy(process.stderr, sys.stderr.buffer),
                    self._copy(process.stdout, sys.stdout.buffer),
                )
                code = await process.wait()
            finally:  # also where nobody reads what it prints
                if process.returncode is None:
                    self._end()
        return code, tail.decode("utf-8", "replace").replace("\0", "")

    def _end(self, how: signal.Signals = signal.SIGTERM) -> None:
        self.is_asked_to_end = True
        if self._process is None or self._process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            if self._lifeline is None:
                self._process.send_signal(how)
            else:
                os.killpg(self._process.pid, how)
                if how is signal.SIGTERM:
                    asyncio.get_running_loop().call_later(GRACE_S, self._end, signal.SIGKILL)

    async def _copy(self, source: asyncio.StreamReader | None, sink: BinaryIO) -> bytes:
        """Copy a stream as it comes, or by whole lines with their prefix; returns its end."""
        tail = begun = b""
        async for piece in _pieces(source):
            tail = (tail + piece)[-MAX_TAIL:]
            if self._prefix:
                *lines, begun = (begun + piece).split(b"\n")
                if len(begun) > MAX_LINE:
                    lines, begun = [*lines, begun], b""
                self._write(lines, sink)
            else:
                sink.write(piece)
                sink.flush()
        if begun:
            self._write([begun], sink)
        return tail

    def _write(self, lines: list[bytes], sink: BinaryIO) -> None:
        for line in lines:  # each by itself: other commands write to the same file
            sink.write(self._prefix + line + b"\n")
            sink.flush()

    @contextlib.contextmanager
    def _endings(self) -> Iterator[None]:
        """
        Leave Ctrl-C to the command, which gets it from the terminal too; SIGTERM and the lifeline end it.

        In force before the command starts: what it prints first may be answered by a signal at once.
        """
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, lambda: None)
        loop.add_signal_handler(signal.SIGTERM, self._end)
        with contextlib.ExitStack() as stack:
            stack.callback(loop.remove_signal_handler, signal.SIGINT)
            stack.callback(loop.remove_signal_handler, signal.SIGTERM)
            if self._lifeline is not None:
                end = open_lifeline(self._lifeline)
                stack.callback(os.close, end)
                loop.add_reader(end, self._look, end)
                stack.callback(loop.remove_reader, end)
                self._look(end)
            yield

    def _look(self, lifeline: int) -> None:
        if not is_held(lifeline):
            asyncio.get_running_loop().remove_reader(lifeline)
            self._end()


async def _pieces(stream: asyncio.StreamReader | None) -> AsyncIterator[bytes]:
    while stream is not None and (piece := await stream.read(65_536)):
        yield piece
