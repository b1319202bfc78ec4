"""Start the daemon in the background, and hear from it whether it began; end one that runs."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict

from mahavishnu.base.daemon.record import DaemonRecord, translated_files
from mahavishnu.base.errors import Forbidden, MahavishnuError, Unavailable, tell, untell
from mahavishnu.base.paths import Locations
from mahavishnu.base.processes import send_signal
from mahavishnu.daemon.log_file import open_log

START_TIMEOUT_S = 180.0  # a first start makes the database
POLL_S = 0.05


def start_detached(locations: Locations, flags: Mapping[str, str]) -> DaemonRecord:
    """
    Start a daemon that outlives this process, and return it once it answers.

    Raises:
        MahavishnuError: what kept it from starting, in its own words.
    """
    ours, theirs = os.pipe()
    try:
        with translated_files(locations.state):
            log = open_log(locations.daemon_log)
        try:
            process = subprocess.Popen(
                # -P: the folder it is called in may hold modules with the names of ours.
                [sys.executable, "-P", "-m", "mahavishnu", "up", "--ready-fd", str(theirs)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                pass_fds=[theirs],
                start_new_session=True,
            )
        finally:
            os.close(log)
    finally:
        os.close(theirs)
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError), process.stdin as pipe:
        pipe.write(json.dumps(dict(flags)).encode())  # not as words: everybody can read those
    try:
        return _hear(ours, locations)
    finally:
        os.close(ours)


def report_start(descriptor: int, outcome: DaemonRecord | MahavishnuError) -> None:
    """Tell the process that waits at the other end that requests are answered, or why not."""
    if isinstance(outcome, MahavishnuError):
        told: dict[str, object] = {"error": tell(outcome)}
    else:
        told = {"record": asdict(outcome)}
    try:
        with contextlib.suppress(BrokenPipeError):  # who asked has gone; it serves all the same
            os.write(descriptor, json.dumps(told).encode() + b"\n")
    finally:
        os.close(descriptor)


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
            f"The daemon {'ended' if ended else 'did not begin'} without a message.",
            hint=f"See its log: {locations.daemon_log}",
            code="daemon.not_started",
        )
    told = json.loads(text)
    if "record" in told:
        return DaemonRecord(**told["record"])
    raise untell(told["error"])


def _signal(record: DaemonRecord, number: int) -> None:
    try:
        send_signal(record.process, number)
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
