"""The daemon's own backend: a runner for each unit that runs, found again by whoever comes later."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path

import msgspec
import psutil
from msgspec import structs

from mahavishnu.base.daemon.record import translated_files
from mahavishnu.base.errors import Unavailable, untell
from mahavishnu.base.identifiers import new_id
from mahavishnu.base.paths import private_folder
from mahavishnu.base.processes import ProcessIdentity, identify, send_signal
from mahavishnu.services.supervision.files import (
    KEPT_BY_ANOTHER,
    RUN_VARIABLE,
    RunEnd,
    RunRecord,
    UnitFiles,
)
from mahavishnu.services.supervision.runner import RunOrder, no_folder, no_program
from mahavishnu.services.units.backend import RunState, UnitState
from mahavishnu.services.units.unit import Unit

RUNNER = Path(__file__).with_name("runner.py")
RUNNER_PATIENCE_S = 15.0  # beyond a unit's grace
ALONE_S = 60.0  # how long a unit outlives its daemon
QUICKER_S = 5.0  # in which another runner says that it has the unit
POLL_S = 0.02


@dataclass(frozen=True)
class UnitEnvironment:
    """The variables of a unit, and which of their values are secret."""

    variables: Mapping[str, str] = field(repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)


class OwnBackend:
    """Runs units by runners whose files are in one folder; a `Backend`."""

    def __init__(
        self,
        folder: Path,
        environment_of: Callable[[Unit], UnitEnvironment],
        *,
        alone_s: float = ALONE_S,
    ) -> None:
        self.files = UnitFiles(folder)
        self._environment_of = environment_of
        self._alone_s = alone_s

    async def check(self, unit: Unit) -> None:
        """Raise what keeps a unit from starting: its environment, its program, its working directory."""
        environment = await asyncio.to_thread(self._environment_of, unit)
        folder = _folder_of(unit, environment)
        path = environment.variables.get("PATH", os.defpath)
        if not Path(folder).is_dir():
            raise no_folder(unit.name, folder)
        if (
            shutil.which(
                str(Path(folder, unit.command[0])) if "/" in unit.command[0] else unit.command[0],
                path=path,
            )
            is None
        ):
            raise no_program(unit.name, unit.command[0], "no such program")

    async def start(self, unit: Unit, *, restarts: int = 0) -> None:
        """Start a unit; raises `service.no_program`, `service.no_folder`, `service.not_started`, `daemon.file`."""
        state = self.state(unit.name)
        if state.state == "running":
            return
        if state.state == "stale":
            await self.stop(unit)
        starting = asyncio.create_task(asyncio.to_thread(self._start, unit, restarts))
        try:
            started = await asyncio.shield(starting)
        except asyncio.CancelledError:  # what has begun ends, so that whoever stops it finds it
            await asyncio.wait({starting})
            raise
        if not started:
            await _await(lambda: self.state(unit.name).state == "running", QUICKER_S)

    async def stop(self, unit: Unit) -> None:
        """
        End a unit and all of its group; also what is left of one whose runner was killed.

        Raises as `translated_files` where that cannot be written down; the unit has ended then.
        """
        record = RunRecord.read(self.files.record(unit.name))
        if record is None or record.ended:
            return
        send_signal(record.runner, signal.SIGTERM)
        grace_s = float(record.definition.get("grace_s", unit.grace_s))
        if not await _gone([record.runner], grace_s + RUNNER_PATIENCE_S):
            send_signal(record.runner, signal.SIGKILL)  # the unit dies with it
        record = RunRecord.read(self.files.record(unit.name))
        if record and not record.ended:
            await self._clear(record, unit)

    def state(self, name: str) -> UnitState:
        """Return whether a unit runs, from its runner's record."""
        record = RunRecord.read(self.files.record(name))
        if record is None:
            return UnitState(state="stopped")
        known = UnitState(
            state="running",
            pid=record.unit.pid,
            since=datetime.fromisoformat(record.since),
            restarts=record.restarts,
            why=record.note,
            definition=_definition(record),
        )
        if (ended := record.ended) is not None:
            failed = not ended.asked and ended.status != 0
            state: RunState = "failed" if failed else "stopped"
            return structs.replace(known, state=state, pid=None, why=ended.why, asked=ended.asked)
        if not record.runner.alive:
            return structs.replace(known, state="stale", pid=None, why="Its runner was killed.")
        return known

    def log(self, name: str) -> Path:
        """Return the file of what a unit prints."""
        return self.files.log(name)

    def known(self) -> list[str]:
        """Return the names of all units that ever ran."""
        try:
            with os.scandir(self.files.folder) as there:  # asked each second: cheaper than a glob
                names = [each.name for each in there]
        except OSError:
            return []
        found = {name.removesuffix(".json") for name in names if name.endswith(".json")}
        return sorted(found - {"wanted"})

    def keeps(self, name: str) -> bool:
        """Tell whether a runner of ours has a unit, or was killed with it: whoever else runs one of that name."""
        return OwnBackend.state(self, name).state in ("running", "stale")

    def _start(self, unit: Unit, restarts: int) -> bool:
        """Start a runner; tells whether it has the unit, which another one that was quicker may have."""
        environment = self._environment_of(unit)
        order = RunOrder(
            folder=str(self.files.folder),
            run=str(new_id()),
            name=unit.name,
            command=list(unit.command),
            environment=environment.variables,
            secrets=list(environment.secrets),
            working_directory=_folder_of(unit, environment),
            stop_command=list(unit.stop_command),
            grace_s=unit.grace_s,
            detached=unit.detached,
            alone_s=self._alone_s,
            restarts=restarts,
            definition=msgspec.to_builtins(unit),
        )
        with translated_files(self.files.folder):
            private_folder(self.files.folder)
            done = subprocess.run(
                [sys.executable, "-I", "-S", str(RUNNER)],
                input=json.dumps(asdict(order)).encode(),
                env={},
                capture_output=True,
                cwd="/",
                start_new_session=True,
                check=False,
            )
        if done.returncode == KEPT_BY_ANOTHER:
            return False
        try:
            told = json.loads(done.stdout)
        except ValueError:
            last = (
                done.stderr.decode("utf-8", "replace").strip().splitlines() or ["it said nothing"]
            )[-1]
            raise Unavailable(
                f"{unit.name} could not be started: {last}.",
                hint=f"Look whether {self.files.folder} can be written.",
                code="service.not_started",
            ) from None
        if "error" in told:
            raise untell(told["error"])
        return True

    async def _clear(self, record: RunRecord, unit: Unit) -> None:
        """End what a killed runner left, which its environment tells from all else; write down that it ended."""
        left = await asyncio.to_thread(_find_run, record.run)
        for number, patience_s in ((signal.SIGTERM, unit.grace_s), (signal.SIGKILL, 5.0)):
            for each in left:
                send_signal(each, number)
            if await _gone(left, patience_s):
                break
        ended = RunEnd(-signal.SIGKILL, asked=False, why="Its runner was killed.")
        with translated_files(self.files.folder):
            replace(record, ended=ended).write(self.files.record(unit.name))


def _folder_of(unit: Unit, environment: UnitEnvironment) -> str:
    home = environment.variables.get("HOME", "/")
    folder = unit.working_directory or home
    return str(Path(home, folder[2:])) if folder.startswith("~/") else folder


def _definition(record: RunRecord) -> Unit | None:
    try:
        return msgspec.convert(record.definition, Unit)
    except msgspec.ValidationError:  # of another release
        return None


def _find_run(run: str) -> list[ProcessIdentity]:
    """Return the processes of this user that belong to a run."""
    found = []
    for each in psutil.process_iter():
        try:
            if each.uids().effective == os.geteuid() and each.environ().get(RUN_VARIABLE) == run:
                found.append(identify(each.pid))
        except (psutil.Error, OSError):
            continue
    return [each for each in found if each is not None]


async def _gone(processes: list[ProcessIdentity], patience_s: float) -> bool:
    return await _await(lambda: not any(each.alive for each in processes), patience_s)


async def _await(condition: Callable[[], bool], patience_s: float) -> bool:
    """Wait for what other processes do; tells whether it came true in time."""
    until = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() >= until:
            return False
        await asyncio.sleep(POLL_S)
    return True
