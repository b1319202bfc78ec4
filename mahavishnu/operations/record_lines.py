"""Record executions from lines of JSON, as a program writes them while its runs go on; it may be killed."""

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import BinaryIO

import msgspec
from msgspec.structs import replace

from mahavishnu.app import App
from mahavishnu.base.errors import MahavishnuError, Unavailable, UsageError
from mahavishnu.base.logs import get_logger
from mahavishnu.memory.models import utc_now
from mahavishnu.memory.records import FINAL
from mahavishnu.operations.bodies import Body
from mahavishnu.operations.operation import Call, invalid
from mahavishnu.operations.record_requests import RecordExecution
from mahavishnu.operations.records import record_execution

MAX_LINE = 8 * 1024 * 1024
IDLE_S = 30.0  # without a line, after which the database is let go
FIRST_PAUSE_S, LAST_PAUSE_S = 1.0, 30.0  # between attempts at a database that is away
ATTEMPTS_UNTIL_S = 45.0  # after the last line
type _Key = tuple[str, str, str | None]
_log = get_logger(__name__)


class RecordedLines(Body, frozen=True, kw_only=True):
    """What became of the lines: runs that were recorded, lines that were refused, runs that nobody ended."""

    recorded: int
    failed: int
    crashed: int


class Lines:
    """
    Reports as they arrive, read by a thread so that who writes them never waits.

    `waiting` holds the last report of each run that is yet to be recorded. With `crashed_at_end`
    runs that have not ended when the lines do are reported as crashed.
    """

    def __init__(self, stream: BinaryIO, *, crashed_at_end: bool = False) -> None:
        self.waiting: dict[_Key, RecordExecution] = {}
        self.failed = self.crashed = 0
        self.ended_at: float | None = None
        self._crashed_at_end = crashed_at_end
        self._running: dict[_Key, RecordExecution] = {}
        self._arrived: deque[bytes | None] = deque()
        self._wake: Callable[[], object] | None = None
        threading.Thread(target=self._read, args=(stream,), daemon=True).start()

    async def take(self, timeout_s: float | None = None) -> None:
        """Wait for a line, the end or so long; take all that are there."""
        arrived, loop = asyncio.Event(), asyncio.get_running_loop()
        self._wake = lambda: loop.call_soon_threadsafe(arrived.set)
        if not self._arrived and self.ended_at is None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await arrived.wait()
        while self._arrived:
            line = self._arrived.popleft()
            if line is None:
                self._end()
            elif line.strip():
                self._note(line)

    def fail(self, error: MahavishnuError) -> None:
        """Count a report that cannot be recorded, and say why."""
        self.failed += 1
        _log.warning("report_refused", code=error.code, problem=error.message)

    def _read(self, stream: BinaryIO) -> None:
        whole = True
        while line := stream.readline(MAX_LINE):
            if whole:
                self._put(line)
            whole = line.endswith(b"\n")  # else the rest of one that is too long follows
        self._put(None)

    def _put(self, line: bytes | None) -> None:
        self._arrived.append(line)
        if self._wake is not None:
            with contextlib.suppress(RuntimeError):  # the loop has been closed
                self._wake()

    def _end(self) -> None:
        self.ended_at = time.monotonic()
        if not self._crashed_at_end:
            return
        now = utc_now().isoformat()
        for key, report in self._running.items():
            self.crashed += 1
            self.waiting[key] = replace(
                report, status="crashed", finished_at=now,
                error="The process was gone before the run reported its end.",
            )  # fmt: skip

    def _note(self, line: bytes) -> None:
        try:
            report = msgspec.json.decode(line, type=RecordExecution)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            problem = invalid(error) if isinstance(error, msgspec.MsgspecError) else None
            self.fail(problem or UsageError("The line is not UTF-8.", code="input.encoding"))
            return
        key = (report.adapter, report.execution_id, report.project)
        before = self.waiting.get(key)
        if before is not None and _is_late(report, before):
            return
        self.waiting[key] = report
        self._running.pop(key, None)
        if report.status not in FINAL:
            self._running[key] = report


def _is_late(report: RecordExecution, before: RecordExecution) -> bool:
    """Tell whether a report is of the time before the end of the same attempt."""
    has_ended = before.status in FINAL and report.status not in FINAL
    return has_ended and report.started_at == before.started_at


async def record_lines(
    lines: Lines, opened: Callable[[], AbstractAsyncContextManager[App]]
) -> RecordedLines:
    """
    Record what arrives until the end; of several reports of one run that wait, the last.

    While the database is away reports wait in memory, `ATTEMPTS_UNTIL_S` beyond the last line.

    Raises:
        Unavailable: they could not be recorded until then; the message says how many.
    """
    recorded: set[_Key] = set()
    pause_s = FIRST_PAUSE_S
    while True:
        await lines.take()
        if not lines.waiting and lines.ended_at is not None:
            return RecordedLines(recorded=len(recorded), failed=lines.failed, crashed=lines.crashed)
        try:
            async with opened() as app:
                while lines.waiting:
                    recorded |= await _record(app, lines)
                    await lines.take(IDLE_S)
                    pause_s = FIRST_PAUSE_S
        except Unavailable as error:
            if lines.ended_at is not None:
                _require_time(lines, error)
            _log.warning("reports_wait", runs=len(lines.waiting), problem=error.message)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LAST_PAUSE_S)


def _require_time(lines: Lines, error: Unavailable) -> None:
    """Give up where the last line came too long ago."""
    assert lines.ended_at is not None
    if time.monotonic() - lines.ended_at > ATTEMPTS_UNTIL_S:
        raise Unavailable(
            f"{len(lines.waiting)} runs were not recorded: {error.message}",
            hint=error.hint,
            code=error.code,
        ) from error


async def _record(app: App, lines: Lines) -> set[_Key]:
    """Record what waits and return which. What could not be recorded yet goes on waiting."""
    done = set()
    for key, report in list(lines.waiting.items()):
        try:
            await record_execution(Call(app, report.adapter), report)
            done.add(key)
        except Unavailable:
            raise
        except MahavishnuError as error:
            lines.fail(error)
        if lines.waiting.get(key) is report:
            del lines.waiting[key]
    return done
