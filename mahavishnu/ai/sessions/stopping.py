"""End a session: by the signal that asks it to, and wait until it is gone with all that it started."""

import signal
import time
from dataclasses import dataclass

from mahavishnu.ai.clients.running import family_of
from mahavishnu.base.processes import ProcessIdentity, send_signal

PAUSE_S = 0.05


@dataclass(frozen=True)
class StoppedSession:
    """Whether the session is gone, and what it started that still runs."""

    gone: bool
    left: tuple[ProcessIdentity, ...] = ()


def stop(process: ProcessIdentity, *, timeout_s: float, force: bool) -> StoppedSession:
    """
    Ask a process to end, and wait for it and what it started; with `force`, kill what stays.

    Only this very process is asked: where the pid has come to mean another, nothing happens.
    """
    family = family_of(process)
    send_signal(process, signal.SIGTERM)
    left = _wait((process, *family), timeout_s)
    if left and force:
        for each in left:
            send_signal(each, signal.SIGKILL)
        left = _wait(left, timeout_s)
    return StoppedSession(process not in left, tuple(each for each in left if each != process))


def _wait(processes: tuple[ProcessIdentity, ...], timeout_s: float) -> tuple[ProcessIdentity, ...]:
    """Return those that still run when the time is over."""
    end = time.monotonic() + timeout_s
    while True:
        left = tuple(each for each in processes if each.alive)
        if not left or time.monotonic() > end:
            return left
        time.sleep(PAUSE_S)
