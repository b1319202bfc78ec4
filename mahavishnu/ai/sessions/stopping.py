"""End a session: by the signal that asks it to, and wait until it is gone with all that it started."""

import os
import signal
import time
from dataclasses import dataclass

from mahavishnu.ai.clients.running import family_of
from mahavishnu.base.processes import ProcessIdentity

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
    _signal(process, signal.SIGTERM)
    left = _wait((process, *family), timeout_s)
    if left and force:
        for each in left:
            _signal(each, signal.SIGKILL)
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


def _signal(process: ProcessIdentity, number: signal.Signals) -> None:
    """Send a signal to this very process: a descriptor of it keeps its pid from meaning another."""
    try:
        if hasattr(os, "pidfd_open"):
            descriptor = os.pidfd_open(process.pid)
            try:
                if process.alive:
                    signal.pidfd_send_signal(descriptor, number)
            finally:
                os.close(descriptor)
        elif process.alive:
            os.kill(process.pid, number)
    except ProcessLookupError:
        return
