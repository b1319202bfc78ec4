"""
When a job is due by its cron expression, and the file that remembers its last run.

Runs that were missed, since nothing ran, are caught up once. A clock that is set back repeats no run; one that is set
forward makes one.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from datetime import datetime, timedelta, tzinfo
from pathlib import Path

import msgspec
from cronsim import CronSim, CronSimError
from msgspec import Struct, structs

from mahavishnu.base.errors import UsageError
from mahavishnu.base.files import write_atomically
from mahavishnu.base.paths import private_folder

FIRST_PAUSE = timedelta(minutes=15)  # after a failure; twice as long after each further one
LAST_PAUSE = timedelta(days=1)


class LastScheduled(Struct, frozen=True, kw_only=True):
    """
    The last run of a job: the next is the first time of `cron` after `counted_from`.

    `failures` are attempts since the last one that succeeded, the latest one at `tried_at`.
    """

    cron: str
    counted_from: datetime
    tried_at: datetime | None = None
    failures: int = 0


def check_cron(expression: str, *, key: str) -> str:
    """Return a cron expression; raises `UsageError` naming the setting `key` where it is none."""
    try:
        next(CronSim(expression, datetime(2024, 1, 1)))
    except (CronSimError, StopIteration) as error:
        raise UsageError(
            f"{key} is not a cron expression that ever comes: {expression!r}.",
            hint='Write minute, hour, day, month and weekday, for example "0 3 * * *" for each night at three.',
            code="schedule.cron",
        ) from error
    return expression


def is_due(
    last: LastScheduled,
    now: datetime,
    *,
    zone: tzinfo | None = None,
    last_pause: timedelta = LAST_PAUSE,
) -> bool:
    """Tell whether a run is due at an aware time; the expression is read in a time zone, by default the machine's."""
    if last.tried_at is not None and last.failures:
        pause = min(FIRST_PAUSE * 2 ** min(last.failures - 1, 10), last_pause)
        if timedelta(0) <= now - last.tried_at < pause:
            return False
    return overdue(last.cron, last.counted_from, now, zone=zone) >= timedelta(0)


def overdue(cron: str, since: datetime, now: datetime, *, zone: tzinfo | None = None) -> timedelta:
    """Return how long ago the first time of an expression after `since` was; less than nothing while it is to come."""
    counted_from, clock = (each.astimezone(zone).replace(tzinfo=None) for each in (since, now))
    due: datetime = next(CronSim(cron, counted_from))
    return clock - due


class ScheduledJob:
    """A job of the daemons that share a state folder; what failed is tried again after `last_pause` at most."""

    def __init__(
        self, folder: Path, name: str, cron: str, *, last_pause: timedelta = LAST_PAUSE
    ) -> None:
        self.cron = cron
        self._last_pause = last_pause
        self._path = folder / f"schedule-{name}.json"

    @contextlib.contextmanager
    def claim(self, now: datetime) -> Iterator[bool]:
        """
        Give whether the job is to run in the block, which no other process then does.

        It counts as a failure until `succeed` is called, also where the process is killed. Raises OSError where the
        state folder cannot be written.
        """
        private_folder(self._path.parent)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        lock = os.open(self._path.with_suffix(".lock"), flags, 0o600)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            last = self._read()
            if last is None or last.cron != self.cron or last.counted_from > now:
                last = LastScheduled(cron=self.cron, counted_from=now)
                self._write(last)
            due = is_due(last, now, last_pause=self._last_pause)
            if due:
                self._write(structs.replace(last, tried_at=now, failures=last.failures + 1))
            yield due
        finally:
            os.close(lock)

    def succeed(self, started: datetime) -> None:
        """Note that the run that was claimed at `started` succeeded."""
        self._write(LastScheduled(cron=self.cron, counted_from=started, tried_at=started))

    def has_missed(self, now: datetime) -> bool:
        """Tell whether a further time went by since the first one that is due."""
        last = self._read()
        if last is None:
            return False
        late = overdue(self.cron, last.counted_from, now)
        return late >= timedelta(0) <= overdue(self.cron, now - late, now)

    def period(self, now: datetime) -> timedelta:
        """Return the time from the next run to the one behind it."""
        times = CronSim(self.cron, now.astimezone().replace(tzinfo=None))
        first: datetime = next(times)
        second: datetime = next(times)
        return second - first

    def _read(self) -> LastScheduled | None:
        """Return the last run; None where there is none, or the file is damaged."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=LastScheduled)
        except (FileNotFoundError, msgspec.MsgspecError, UnicodeDecodeError):
            return None

    def _write(self, last: LastScheduled) -> None:
        write_atomically(self._path, msgspec.json.encode(last))
