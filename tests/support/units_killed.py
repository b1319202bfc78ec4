"""
Daemons that are killed in the middle of a restart: as a program, `FOLDER COUNT`.

A process forked from this one supervises a unit and restarts it with a new definition, killed at one of `COUNT` places
spread over the functions that it calls; another one comes after it, as the next daemon. It prints a line of JSON each.
"""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import psutil

import mahavishnu
from mahavishnu.services.units.unit import Unit
from tests.support.units import Supervising, comes_true, sleeper

PACKAGE = str(Path(mahavishnu.__file__).parent / "services")


def _unit(folder: Path, **fields: Any) -> Unit:
    return sleeper("a", environment=(f"MARK={folder}",), **fields)


def restart(folder: Path, kill_at: int) -> int:
    """Restart the unit in a process that is killed at a call; returns how many there were, 0 if killed."""
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        asyncio.run(_restart(folder, kill_at, theirs))
        os._exit(0)
    os.close(theirs)
    with os.fdopen(ours) as counted:
        text = counted.read()
    os.waitpid(pid, 0)
    return int(text or 0)


async def _restart(folder: Path, kill_at: int, told: int) -> None:
    world = Supervising(folder)
    world.define(_unit(folder))
    calls = 0

    def count(frame: FrameType, event: str, _argument: Any) -> None:
        nonlocal calls
        if event == "call" and frame.f_code.co_filename.startswith(PACKAGE):
            calls += 1
            if calls == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    async with world.running() as supervisor:
        world.define(_unit(folder, grace_s=4.0))
        sys.setprofile(count)
        await supervisor.restart(["a"])
        sys.setprofile(None)
    os.write(told, str(calls).encode())


async def come_after(folder: Path) -> dict[str, Any]:
    """Be the next daemon; returns what runs of the unit once it does, and after this daemon's end."""
    world = Supervising(folder)
    world.define(_unit(folder, grace_s=4.0))
    async with world.running():
        await comes_true(lambda: world.backend.state("a").state == "running")
        during = processes(folder)
    return {"during": during, "after": processes(folder)}


def processes(folder: Path) -> int:
    """Return how many processes of units of this folder there are."""
    own = [each for each in psutil.process_iter(["environ"]) if each.info["environ"]]
    return sum(each.info["environ"].get("MARK") == str(folder) for each in own)


def main(folder: Path, count: int) -> None:
    (folder / "0").mkdir()
    calls = restart(folder / "0", 0)
    for number in range(count):
        place = folder / str(number + 1)
        place.mkdir()
        at = 1 + number * calls // count
        killed = restart(place, at) == 0
        print(
            json.dumps({"at": at, "killed": killed, **asyncio.run(come_after(place))}), flush=True
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
