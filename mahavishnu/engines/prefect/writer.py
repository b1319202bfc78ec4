"""
The process that writes what this one reports: `mahavishnu workflow record --lines` at the end of a pipe.

A flow's process imports no database and waits for none. The writer is in a session of its own: it outlives
a flow that is killed, and then knows that its runs have crashed.
"""

import atexit
import contextlib
import functools
import logging
import os
import select
import subprocess
import sys
import threading
import time

WORDS = ("-m", "mahavishnu", "workflow", "record", "--lines", "--crashed-at-end", "--log")
PIPE_BYTES = 1024 * 1024
WAIT_S = 2.0  # for room in the pipe, which is there unless the writer is stopped
AGAIN_AFTER_S = 30.0  # after a failure, until the next writer is started
_log = logging.getLogger(__name__)


class Writer:
    """A pipe to the writing process, which is started at the first report and again where it ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._failed_at = self._replaced_at = -AGAIN_AFTER_S
        self._wait_at_exit_s = 0.0

    def send(self, line: bytes, *, wait_at_exit_s: float = 0) -> None:
        """Hand on one line, or log that this failed; then none are taken for `AGAIN_AFTER_S`."""
        with self._lock:
            self._wait_at_exit_s = max(self._wait_at_exit_s, wait_at_exit_s)
            if time.monotonic() - self._failed_at < AGAIN_AFTER_S:
                return
            try:
                self._hand_on(line)
            except OSError as error:
                self._failed_at = time.monotonic()
                self._give_up()
                _log.warning("Mahavishnu does not record this run: %s", error)

    def close(self) -> None:
        """Let the writer end when it is done, and wait for that as long as the recorders asked for."""
        with self._lock:
            process = self._let_go()
        if process is not None and not _has_ended(process, within_s=self._wait_at_exit_s):
            _log.info("Mahavishnu is still recording; see recorder.log.")

    def leave(self) -> None:
        """Close a fork's end of the pipe: the writer learns by it when the flow's own process is gone."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
        atexit.unregister(self.close)

    def _hand_on(self, line: bytes) -> None:
        """Write a line, also where the writer was killed: another takes its place, but not again and again."""
        try:
            self._write(line)
        except BrokenPipeError:
            if time.monotonic() - self._replaced_at < AGAIN_AFTER_S:
                raise
            self._replaced_at = time.monotonic()
            self._give_up()
            self._write(line)

    def _give_up(self) -> None:
        if (process := self._let_go()) is not None:
            _has_ended(process, within_s=WAIT_S)

    def _write(self, line: bytes) -> None:
        if self._process is None:
            self._process = self._start()
        _write(self._process, line)

    def _start(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, *WORDS],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            bufsize=0,
            pipesize=PIPE_BYTES,
        )
        assert process.stdin is not None
        os.set_blocking(process.stdin.fileno(), False)
        atexit.register(self.close)
        return process

    def _let_go(self) -> subprocess.Popen[bytes] | None:
        process, self._process = self._process, None
        if process is not None and process.stdin is not None:
            process.stdin.close()
        return process


def _has_ended(process: subprocess.Popen[bytes], *, within_s: float) -> bool:
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(within_s)
    return process.returncode is not None


def _write(process: subprocess.Popen[bytes], line: bytes) -> None:
    """Write a line whole; raises OSError where there is no reader, or none that reads."""
    assert process.stdin is not None
    pipe, ends_at = process.stdin.fileno(), time.monotonic() + WAIT_S
    room = select.poll()
    room.register(pipe, select.POLLOUT)
    while line:
        try:
            line = line[os.write(pipe, line) :]
        except BlockingIOError:
            left = ends_at - time.monotonic()
            if left <= 0 or not room.poll(left * 1000):
                raise TimeoutError("the writing process takes nothing") from None


@functools.cache
def open_writer() -> Writer:
    """Return this process's writer; a fork gets one of its own."""
    return Writer()


def _leave_in_fork() -> None:
    if open_writer.cache_info().currsize:
        open_writer().leave()
        open_writer.cache_clear()


os.register_at_fork(after_in_child=_leave_in_fork)
