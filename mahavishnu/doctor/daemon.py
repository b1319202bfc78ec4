"""Checks of the daemon: does one run, what does its record say, is its port free."""

import errno
import fcntl
import os
import socket
from pathlib import Path

from mahavishnu import __version__
from mahavishnu.base.daemon.client import ask_health
from mahavishnu.base.daemon.record import HOST, DaemonRecord, find_daemon
from mahavishnu.base.errors import Conflict
from mahavishnu.base.ports import describe_owner
from mahavishnu.doctor.files import is_own_file, not_ours
from mahavishnu.doctor.findings import Examination, Finding

_RESTART = "Start it again: mahavishnu down --force; mahavishnu up --detach"
# It works again by itself then; another database than ours it can only have from former settings.
_DATABASE_FIRST = f"Fix what is reported about the database below. Where that is well: {_RESTART}"


def judge_daemon(lock: Path) -> Finding:
    """Tell what the record says and whether it is true."""
    size = _size(lock)
    if size is not None and not is_own_file(lock):  # a pipe would keep its reader waiting
        return Finding("error", f"{lock} is no file of this user's own.", "Move it away.")
    if not size:
        return Finding("info", "No daemon runs.", "Start it with: mahavishnu up")
    record = DaemonRecord.read(lock)
    if record is None:
        return _stale(f"The record of the daemon is damaged: {lock}")
    if not record.process.alive:
        return _stale(f"{lock} names a daemon that is gone (pid {record.pid}).")
    if record.port is None:
        return Finding("info", f"A daemon begins or ends (pid {record.pid}).")
    status = ask_health(record.port)
    if status != 200:
        problem = "does not answer" if status is None else f"cannot work (HTTP {status})"
        return Finding(
            "error",
            f"The daemon (pid {record.pid}) {problem} at {record.url}.",
            _DATABASE_FIRST if status == 503 else _RESTART,
        )
    shown = f"It runs at {record.url} (pid {record.pid}, version {record.version})."
    if record.version != __version__:
        return Finding("warning", f"{shown} This is version {__version__}.", _RESTART)
    return Finding("ok", shown)


def _stale(summary: str) -> Finding:
    return Finding("warning", summary, "mahavishnu doctor --fix", fixable=True)


def _size(path: Path) -> int | None:
    """Return the size of the file; None where there is none."""
    try:
        return path.lstat().st_size
    except FileNotFoundError:
        return None


def empty_record(examination: Examination) -> str:
    """
    Empty the record of a daemon that is gone, under its own lock.

    Raises:
        Conflict: `doctor.in_use`, a daemon has begun meanwhile.
        Forbidden: `doctor.not_ours`.
    """
    lock = examination.places.daemon_lock
    if not is_own_file(lock):
        raise not_ours(lock)
    descriptor = os.open(lock, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(descriptor, 0)
    except BlockingIOError as error:
        raise Conflict(
            f"A daemon holds {lock}, which was left alone.",
            hint="See it with: mahavishnu status",
            code="doctor.in_use",
        ) from error
    finally:
        os.close(descriptor)
    return "The record of the daemon that is gone was emptied."


def look_at_port(examination: Examination) -> Finding:
    """Check that the daemon can have its port; needs `settings`."""
    lock = examination.places.daemon_lock
    record = find_daemon(lock) if is_own_file(lock) else None
    return judge_port(examination.settings.server.port, record)


def judge_port(port: int, daemon: DaemonRecord | None) -> Finding:
    """
    Tell whether `port` is free or held by our own `daemon`, else who has it.

    That is no error while the daemon runs on another one; one that begins has not told its port yet.
    """
    if port == 0:
        return Finding("ok", "The daemon takes any port that is free.")
    if daemon is not None and daemon.port is None:
        return Finding("info", f"Not looked at while a daemon begins or ends (pid {daemon.pid}).")
    if daemon is not None and daemon.port == port:
        return Finding("ok", f"{port} is the daemon's (pid {daemon.pid}).")
    hint = "End it, or choose another port: mahavishnu up --port PORT (or the setting server.port)"
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                taken = f"{port} is taken by {describe_owner(port)}."
                if daemon is None:
                    return Finding("error", taken, hint)
                return Finding(
                    "warning",
                    f"{taken} The daemon has {daemon.port}.",
                    f"Keep that by the setting server.port: {daemon.port}",
                )
            return Finding(
                "error",
                f"{port} cannot be used ({error.strerror}).",
                "Choose another one in the setting server.port; those from 1024 are for everybody.",
            )
    return Finding("ok", f"{port} is free.")
