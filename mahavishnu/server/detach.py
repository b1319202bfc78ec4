"""Start the daemon in the background, and hear from it whether it began; end one that runs."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict

from mahavishnu.daemon.record import DaemonRecord, already_running, find_daemon, told_full_disk
from mahavishnu.errors import Conflict, Corrupt, Forbidden, MahavishnuError, Unavailable, UsageError
from mahavishnu.paths import Locations
from mahavishnu.server.log_file import open_log

START_TIMEOUT_S = 180.0  # a first start makes the database
POLL_S = 0.05
KINDS = {kind.__name__: kind for kind in (Conflict, Corrupt, Forbidden, Unavailable, UsageError)}


def start_detached(locations: Locations, flags: Mapping[str, str]) -> DaemonRecord:
    """
    Start a daemon that outlives this process, and return it once it answers.

    Raises:
        MahavishnuError: what kept it from starting, in its own words.
    """
    ours, theirs = os.pipe()
    words = [word for key, value in flags.items() for word in ("--set", f"{key}={value}")]
    try:
        with told_full_disk(locations.state):
            log = open_log(locations.daemon_log)
        try:
            subprocess.Popen(
                # -P: the folder it is called in may hold modules with the names of ours.
                [sys.executable, "-P", "-m", "mahavishnu", *words, "up", "--ready-fd", str(theirs)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[theirs],
                start_new_session=True,
            )
        finally:
            os.close(log)
    finally:
        os.close(theirs)
    try:
        return _hear(ours, locations)
    finally:
        os.close(ours)


def say_ready(descriptor: int, record: DaemonRecord) -> None:
    """Tell the process that waits at the other end that requests are answered."""
    _say(descriptor, {"record": asdict(record)})


def say_failed(descriptor: int, error: MahavishnuError) -> None:
    """Tell it why not."""
    told = {"kind": type(error).__name__, "message": error.message, "hint": error.hint}
    _say(descriptor, {"error": {**told, "code": error.code}})


def stop(record: DaemonRecord, *, wait_s: float, force: bool) -> bool:
    """
    Ask a daemon to end and wait for it; with `force` kill it where it does not. Tells whether it had to.

    Raises:
        Unavailable: `daemon.still_running`, it took longer.
    """
    _signal(record, signal.SIGTERM)
    if _gone(record, wait_s):
        return False
    if not force:
        raise Unavailable(
            f"The daemon (pid {record.pid}) still runs after {wait_s:.0f} seconds.",
            hint="Wait, or kill it, which loses nothing that it has confirmed: mahavishnu down --force",
            code="daemon.still_running",
        )
    _signal(record, signal.SIGKILL)
    _gone(record, wait_s)
    return True


def _hear(descriptor: int, locations: Locations) -> DaemonRecord:
    until = time.monotonic() + START_TIMEOUT_S
    text = b""
    while b"\n" not in text:
        readable, _, _ = select.select([descriptor], [], [], max(0.0, until - time.monotonic()))
        piece = os.read(descriptor, 65_536) if readable else b""
        if not piece:
            break
        text += piece
    if not text:
        ended = bool(readable)
        raise Unavailable(
            f"The daemon {'ended' if ended else 'did not begin'} without a word.",
            hint=f"Its log tells more: {locations.daemon_log}",
            code="daemon.not_started",
        )
    told = json.loads(text)
    if "record" in told:
        return DaemonRecord(**told["record"])
    error = told["error"]
    running = find_daemon(locations.daemon_lock)
    if error["code"] == "daemon.running" and running is not None:
        raise already_running(running)
    kind = KINDS.get(error["kind"], MahavishnuError)
    raise kind(error["message"], hint=error["hint"], code=error["code"])


def _say(descriptor: int, what: object) -> None:
    try:
        os.write(descriptor, json.dumps(what).encode() + b"\n")
    except BrokenPipeError:
        pass  # who asked has gone; the daemon serves all the same
    finally:
        os.close(descriptor)


def _signal(record: DaemonRecord, number: int) -> None:
    """Signal the process of the record, and no other that has its pid by now."""
    try:
        if sys.platform == "linux":
            handle = os.pidfd_open(record.pid)
            try:
                if (
                    record.process.alive
                ):  # asked while the handle keeps the pid from meaning another
                    signal.pidfd_send_signal(handle, number)
            finally:
                os.close(handle)
        elif record.process.alive:
            os.kill(record.pid, number)
    except ProcessLookupError:
        return
    except PermissionError as error:
        raise Forbidden(
            f"The daemon (pid {record.pid}) is another user's.", code="daemon.not_own"
        ) from error


def _gone(record: DaemonRecord, wait_s: float) -> bool:
    until = time.monotonic() + wait_s
    while record.process.alive:
        if time.monotonic() >= until:
            return False
        time.sleep(POLL_S)
    return True
