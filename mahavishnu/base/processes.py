"""
Which process a pid means: alive or dead, with reused pids and zombies told apart.

Standard library only: the keeper of the embedded PostgreSQL runs without installed packages.
"""

import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class ProcessIdentity:
    """A process for good: its pid and the token of `process_start_time`."""

    pid: int
    started: str

    @property
    def alive(self) -> bool:
        """Whether this very process still runs."""
        return is_alive(self.pid, self.started)


def identify(pid: int) -> ProcessIdentity | None:
    """Return the identity of a running process; None where `pid` names none, or a zombie."""
    started = process_start_time(pid)
    return None if started is None else ProcessIdentity(pid, started)


def is_alive(pid: int, started: str) -> bool:
    """Tell whether `pid` still is the process that began at `started`; a zombie is dead."""
    return process_start_time(pid) == started


def process_start_time(pid: int) -> str | None:
    """
    Return a token of the moment `pid` began, equal only for the same process; None for a dead one.

    The token is compared, never computed with: on Linux the boot and the ticks since it, which a
    change of the clock does not touch; elsewhere what `ps` prints, exact to a second.
    """
    if pid <= 0:
        return None
    return _start_from_proc(pid) if sys.platform == "linux" else _start_from_ps(pid)


def _start_from_proc(pid: int) -> str | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, *fields = stat[stat.rindex(b")") + 2 :].split()  # the name may hold spaces and brackets
    if state in {b"Z", b"X"}:
        return None
    return f"{_boot()}:{int(fields[18])}"


@cache
def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def _start_from_ps(pid: int) -> str | None:
    answer = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)],
        env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    state, *started = answer.stdout.split() or ["Z"]
    return None if state.startswith("Z") else " ".join(started)
