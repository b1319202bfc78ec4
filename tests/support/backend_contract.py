"""What every backend of services does: one suite for the daemon's own and for the supervisors of the system."""

import asyncio
import json
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
from msgspec import structs

from mahavishnu.base.errors import MahavishnuError
from mahavishnu.services.units.backend import Backend, UnitState
from mahavishnu.services.units.unit import Unit

WAIT_S = 60.0
# What may go wrong between a unit and a program's file.
ODD = ("a b", "100%", "$HOME", 'say "no"', "it's", "back\\slash", "a ;b #c", "ü", "")
PROGRAM = """
import json, os, signal, subprocess, sys, time
child = None
if sys.argv[2] == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]).pid
with open(sys.argv[1], "w") as told:
    json.dump({"words": sys.argv[3:], "environ": dict(os.environ), "cwd": os.getcwd(), "child": child}, told)
print("It says hello.", flush=True)
if sys.argv[2].isdigit():
    sys.exit(int(sys.argv[2]))
time.sleep(600)
"""


class BackendContract:
    """Tests of a backend; the fixture `backend` gives one that runs nothing."""

    async def test_a_unit_is_started_once_and_stopped(
        self, backend: Backend, tmp_path: Path
    ) -> None:
        unit = unit_of(tmp_path, "on", *ODD)
        assert backend.state(unit.name).state == "stopped"
        await backend.check(unit)
        await backend.start(unit)
        told = await asyncio.to_thread(_await_json, tmp_path / "told")
        assert (told["words"], told["cwd"]) == ([*ODD], str(tmp_path))
        assert told["environ"]["ODD"] == "100% of $HOME"
        state = backend.state(unit.name)
        assert state.state == "running" and state.pid and psutil.pid_exists(state.pid)
        if state.since is not None:
            assert abs(datetime.now(UTC) - state.since) < timedelta(minutes=2)
        await backend.start(unit)
        assert backend.state(unit.name).pid == state.pid
        assert "It says hello." in await asyncio.to_thread(_await_text, backend.log(unit.name))
        await backend.stop(unit)
        assert not psutil.pid_exists(state.pid)
        assert backend.state(unit.name).state == "stopped"
        await backend.stop(unit)
        await backend.start(unit)
        again = backend.state(unit.name).pid
        assert again not in (None, state.pid)
        await backend.stop(unit)

    async def test_one_that_ends_by_an_error_has_failed(
        self, backend: Backend, tmp_path: Path
    ) -> None:
        unit = unit_of(tmp_path, "3")
        try:
            await backend.start(unit)
        except MahavishnuError as error:
            assert error.code == "service.not_started"
        state = await asyncio.to_thread(_await_end, backend, unit.name)
        assert state.state == "failed" and state.pid is None
        # supervisord forgets the status of what ends within a second.
        assert "3" in state.why or "Exited too quickly" in state.why, state
        await backend.stop(unit)

    async def test_what_does_not_end_in_time_is_killed_with_its_children(
        self, backend: Backend, tmp_path: Path
    ) -> None:
        unit = structs.replace(unit_of(tmp_path, "stubborn"), grace_s=1.0)
        await backend.start(unit)
        child = (await asyncio.to_thread(_await_json, tmp_path / "told"))["child"]
        pid = backend.state(unit.name).pid
        assert pid and isinstance(child, int) and psutil.pid_exists(child)
        await backend.stop(unit)
        for each in (pid, child):
            await asyncio.to_thread(_await_gone, each)

    async def test_a_changed_definition_counts_from_the_next_start_on(
        self, backend: Backend, tmp_path: Path
    ) -> None:
        for word in ("one", "two"):
            unit = unit_of(tmp_path, "on", word)
            await backend.start(unit)
            told = await asyncio.to_thread(_await_json, tmp_path / "told")
            assert told["words"] == [word]
            await backend.stop(unit)
            (tmp_path / "told").unlink()

    async def test_one_that_nobody_knows_does_not_run(self, backend: Backend) -> None:
        assert backend.state("nobody").state == "stopped"
        await backend.stop(Unit(name="nobody", command=()))


def unit_of(folder: Path, how: str, *words: str) -> Unit:
    """Return a unit that says what it sees, and goes on or ends."""
    (folder / "program.py").write_text(PROGRAM)
    return Unit(
        name="contract",
        command=(sys.executable, str(folder / "program.py"), str(folder / "told"), how, *words),
        environment=("ODD=100% of $HOME",),
        working_directory=str(folder),
        restart="never",
    )


def _await_end(backend: Backend, name: str) -> UnitState:
    until = time.monotonic() + WAIT_S
    while (state := backend.state(name)).state == "running":
        assert time.monotonic() < until, state
        time.sleep(0.05)
    return state


def _await_gone(pid: int) -> None:
    """Wait until nothing runs under a pid, a zombie being nothing: its parent may be the one who tests."""
    until = time.monotonic() + WAIT_S
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < until
        time.sleep(0.02)


def _await_json(path: Path) -> dict[str, object]:
    until = time.monotonic() + WAIT_S
    while True:
        try:
            told: dict[str, object] = json.loads(path.read_text())
            return told
        except (FileNotFoundError, ValueError):
            assert time.monotonic() < until
            time.sleep(0.02)


def _await_text(path: Path) -> str:
    until = time.monotonic() + WAIT_S
    while not path.exists() or not path.read_text():
        assert time.monotonic() < until, path
        time.sleep(0.02)
    return path.read_text()
