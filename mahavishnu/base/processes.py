"""
Which process a pid means: alive or dead, with reused pids and zombies told apart.

Standard library only: the keeper of the embedded PostgreSQL runs without installed packages.
"""

import os
import signal
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


def send_signal(process: ProcessIdentity, number: int) -> None:
    """
    Signal this very process, and no other that has its pid by now; one that is gone is no error.

    Raises PermissionError where it is another user's.
    """
    try:
        if sys.platform == "linux":
            handle = os.pidfd_open(process.pid)
            try:
                # Asked while the handle keeps the signal from reaching another.
                if process.alive:
                    signal.pidfd_send_signal(handle, number)
            finally:
                os.close(handle)
        elif process.alive:
            os.kill(process.pid, number)
    except ProcessLookupError:
        return


def living_in_group(group: int) -> list[int]:
    """Return the pids of the processes of a group that are no zombies."""
    if sys.platform == "linux":
        pids = [int(each.name) for each in Path("/proc").iterdir() if each.name.isdigit()]
        return [pid for pid in pids if _group_from_proc(pid) == group]
    table = _ask_ps("pid=,pgid=,stat=", "-ax")
    rows = [line.split() for line in table.splitlines()]
    return [int(pid) for pid, of, state in rows if int(of) == group and not state.startswith("Z")]


def _group_from_proc(pid: int) -> int | None:
    fields = _read_stat(pid)
    return int(fields[2]) if fields and fields[0] not in {b"Z", b"X"} else None


def _read_stat(pid: int) -> list[bytes]:
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return stat[stat.rindex(b")") + 2 :].split()  # the name may hold spaces and brackets


def _start_from_proc(pid: int) -> str | None:
    fields = _read_stat(pid)
    if not fields or fields[0] in {b"Z", b"X"}:
        return None
    return f"{_boot()}:{int(fields[19])}"


@cache
def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def _start_from_ps(pid: int) -> str | None:
    state, *started = _ask_ps("stat=,lstart=", "-p", str(pid)).split() or ["Z"]
    return None if state.startswith("Z") else " ".join(started)


def _ask_ps(columns: str, *whom: str) -> str:
    return subprocess.run(
        ["ps", "-o", columns, *whom],
        env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    ).stdout
