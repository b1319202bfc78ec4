"""
The runner: a small process that owns one run of a unit, and nothing else.

It starts the unit in a process group of its own, takes what it prints, ends it when it is asked to or when no daemon
came for a while, and writes down how it ended. Whether the unit is started again is the daemon's business. Run as a
script by `own_backend.py`, with the standard library only.
"""

import contextlib
import fcntl
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

if __name__ == "__main__":
    sys.path.append(str(Path(__file__).parents[3]))  # -I -S: nothing but the package is found

from mahavishnu.base.children import adopt_orphans, die_with_parent, own_children
from mahavishnu.base.errors import MahavishnuError, NotFound, Unavailable, tell
from mahavishnu.base.processes import ProcessIdentity, identify, living_in_group
from mahavishnu.services.supervision.files import (
    KEPT_BY_ANOTHER,
    RUN_VARIABLE,
    RunEnd,
    RunRecord,
    UnitFiles,
    has_daemon,
)
from mahavishnu.services.supervision.unit_log import UnitLog

LOOK_EVERY_S = 1.0
LOOK_AT_END_S = 0.05
PIECE = 65_536


@dataclass(frozen=True)
class RunOrder:
    """What to run: comes in by stdin, since environment and secrets are nobody else's business."""

    folder: str
    run: str
    name: str
    command: list[str]
    environment: Mapping[str, str]
    secrets: list[str]
    working_directory: str
    stop_command: list[str]
    grace_s: float
    detached: bool
    alone_s: float
    restarts: int
    definition: dict[str, Any]


class Runner:
    """One run, from the start of the unit's process to the end of its group."""

    def __init__(self, order: RunOrder) -> None:
        self.order = order
        self.files = UnitFiles(Path(order.folder))
        self.log = UnitLog(self.files.log(order.name), order.secrets)
        self.asked = False
        self.why = ""
        self.deadline: float | None = None  # when what is left is killed
        self.killed = False
        self.stopper: subprocess.Popen[bytes] | None = None  # its stop command
        self.alone_since: float | None = None
        self.output, self._their_output = os.pipe()
        os.set_blocking(self.output, False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask_end)
        # A handler, which the unit does not inherit as it would inherit that a signal is ignored.
        signal.signal(signal.SIGHUP, lambda *_: None)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self.wakeup, told = os.pipe()
        os.set_blocking(told, False)
        signal.set_wakeup_fd(told)

    def start(self) -> RunRecord:
        """Start the unit's process; raises what keeps it from starting."""
        adopt_orphans()
        self.child = self._spawn(self.order.command)
        os.close(self._their_output)
        own = identify(os.getpid())
        assert own is not None
        # One that has ended by now is a zombie, which has no identity; its end is noticed in `run`.
        unit = identify(self.child.pid) or ProcessIdentity(self.child.pid, "ended")
        self.record = RunRecord(
            run=self.order.run,
            runner=own,
            unit=unit,
            since=datetime.now(UTC).isoformat(timespec="seconds"),
            restarts=self.order.restarts,
            definition=self.order.definition,
        )
        self.log.say(f"starts (pid {self.child.pid})")
        self._write()
        return self.record

    def run(self) -> None:
        """Go on until nothing of the unit is left, and write down how it ended."""
        with selectors.DefaultSelector() as selector:
            for descriptor in (self.output, self.wakeup):
                selector.register(descriptor, selectors.EVENT_READ)
            while not self._has_ended():
                pause_s = LOOK_EVERY_S if self.deadline is None else LOOK_AT_END_S
                for key, _ in selector.select(pause_s):
                    if not self._read(key.fd):
                        selector.unregister(key.fd)
                self._look_for_daemon()
                self._orphans()
                if self.log.problem != self.record.note:
                    self.record = replace(self.record, note=self.log.problem)
                    self._write()
        while self._read(self.output):
            pass
        status = self.child.wait()
        why = self.why or f"It ended by itself, {describe_status(status)}."
        self.log.say(f"ended, {describe_status(status)}")
        self.log.finish()
        self.record = replace(self.record, ended=RunEnd(status, self.asked, why))
        self._write()

    def _ask_end(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True

    def _spawn(self, command: list[str]) -> subprocess.Popen[bytes]:
        runner, order = os.getpid(), self.order
        environment = {**order.environment, RUN_VARIABLE: order.run}
        return subprocess.Popen(
            command,
            env=environment,
            cwd=order.working_directory,
            stdin=subprocess.DEVNULL,
            stdout=self._their_output,
            stderr=self._their_output,
            start_new_session=True,
            # Where this process is killed, nobody could end it in order any more.
            preexec_fn=lambda: die_with_parent(runner, signal.SIGKILL),
        )

    def _has_ended(self) -> bool:
        """Go one step towards the end, where it has begun; tells whether nothing is left."""
        gone = self._child_is_gone()
        if self.deadline is None and (gone or self.asked):
            self.deadline = time.monotonic() + self.order.grace_s
            if self.asked:
                self.why = self.why or "It was asked to end."
            self._ask_politely(gone=gone)
        if self.deadline is None:
            return False
        if gone and not living_in_group(self.child.pid) and not self._orphans():
            return True
        if time.monotonic() >= self.deadline:
            if self.asked and not self.killed:
                self.why += " It did not in time, and was killed."
            self.killed = True
            self._signal_group(signal.SIGKILL)
        return False

    def _ask_politely(self, *, gone: bool) -> None:
        if self.order.stop_command and not gone:
            self._their_output = os.dup(2)
            try:
                self.stopper = self._spawn(self.order.stop_command)
            except OSError as error:
                self.log.say(f"its stop command did not start: {error.strerror}")
            else:
                return
            finally:
                os.close(self._their_output)
        self._signal_group(signal.SIGTERM)

    def _child_is_gone(self) -> bool:
        """Tell whether the unit's own process ended; it stays a zombie, so that its group keeps its number."""
        found = os.waitid(os.P_PID, self.child.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)
        return found is not None

    def _orphans(self) -> list[int]:
        """Return what has left the group and lost its parent, which this process is now; what died is reaped."""
        left = []
        for pid in own_children():
            if pid == self.child.pid:
                continue
            ended, status = os.waitpid(pid, os.WNOHANG)
            if not ended:
                left.append(pid)
            elif self.stopper is not None and pid == self.stopper.pid:
                self._note_stopper(os.waitstatus_to_exitcode(status))
        return left

    def _note_stopper(self, status: int) -> None:
        """Ask by a signal where the stop command failed; the grace goes on."""
        self.stopper = None
        if status != 0:
            self.log.say(f"its stop command ended, {describe_status(status)}")
            self._signal_group(signal.SIGTERM)

    def _signal_group(self, number: signal.Signals) -> None:
        for pid in self._orphans():  # children of this process that it has not reaped
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)
        with contextlib.suppress(ProcessLookupError, PermissionError):  # zombies alone, on macOS
            os.killpg(self.child.pid, number)

    def _look_for_daemon(self) -> None:
        if self.order.detached or self.asked:
            return
        now = time.monotonic()
        if has_daemon(self.files.lease):
            self.alone_since = None
        elif self.alone_since is None:
            self.alone_since = now
        elif now - self.alone_since >= self.order.alone_s:
            self.asked = True
            self.why = f"No daemon came within {self.order.alone_s:g} seconds."

    def _read(self, descriptor: int) -> bool:
        """Take what there is; tells whether there may be more."""
        try:
            piece = os.read(descriptor, PIECE)
        except BlockingIOError:
            return False
        if descriptor == self.output:
            self.log.take(piece)
        return bool(piece)

    def _write(self) -> None:
        with contextlib.suppress(OSError):  # a full disk ends no unit
            self.record.write(self.files.record(self.order.name))


def describe_status(status: int) -> str:
    """Say what a process ended with."""
    if status >= 0:
        return f"with status {status}"
    try:
        return f"by {signal.Signals(-status).name}"
    except ValueError:
        return f"by signal {-status}"


def explain(error: Exception, order: RunOrder) -> MahavishnuError:
    """Return what kept a unit from starting as one that users can be shown."""
    if isinstance(error, FileNotFoundError | NotADirectoryError | PermissionError):
        if not Path(order.working_directory).is_dir():
            return no_folder(order.name, order.working_directory)
        return no_program(order.name, order.command[0], str(error.strerror))
    return Unavailable(f"{order.name} could not be started: {error}.", code="service.not_started")


def no_folder(name: str, folder: str) -> NotFound:
    """Return the error for a working directory that is not there."""
    return NotFound(
        f"The working directory of {name} is not there: {folder}",
        hint=f"Make it, or change services.{name}.working_directory.",
        code="service.no_folder",
    )


def no_program(name: str, program: str, reason: str) -> NotFound:
    """Return the error for a program that cannot be run."""
    return NotFound(
        f"The program of {name} cannot be run: {program} ({reason}).",
        hint="Install it, or write its whole path into the command.",
        code="service.no_program",
    )


def main() -> int:
    """
    Take the lock of a unit, start it, and go on in the background: a grandchild of the caller, which reaps no zombie.

    Prints what became of the start as JSON; returns 3 where another runner has the unit.
    """
    order = RunOrder(**json.load(sys.stdin))
    os.umask(0o077)
    files = UnitFiles(Path(order.folder))
    lock = os.open(files.lock(order.name), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return KEPT_BY_ANOTHER
    ours, theirs = os.pipe()
    if os.fork():
        os.close(theirs)
        with os.fdopen(ours) as told:
            sys.stdout.write(told.read())
        return 0
    os.close(ours)
    try:
        runner = Runner(order)
        runner.start()
    except Exception as error:  # noqa: BLE001 - the root of a process: who started it says why
        os.write(theirs, json.dumps({"error": tell(explain(error, order))}).encode())
        os._exit(1)
    os.write(theirs, b"{}")
    os.close(theirs)
    quiet = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(quiet, standard)
    runner.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
