"""Units run by the user's systemd."""

import asyncio
import math
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mahavishnu.services.backends.owned_files import place, sealed
from mahavishnu.services.backends.system_backend import not_started, unreachable
from mahavishnu.services.backends.systemd import (
    ASK_TIMEOUT_S,
    SUFFIX,
    SYSTEMCTL,
    is_reached,
    render_unit,
)
from mahavishnu.services.units.backend import RunState, UnitState
from mahavishnu.services.units.unit import Unit

SHOWN = (
    *("LoadState", "ActiveState", "SubState", "Result", "MainPID", "NRestarts"),
    *("ExecMainStatus", "ExecMainStartTimestampMonotonic"),
)
REACHED_FOR_S = 20.0
_STATES: dict[str, RunState] = {"inactive": "stopped", "failed": "failed"}


class SystemdBackend:
    """
    Runs units as services of the user's systemd; a `SystemBackend`.

    `NAME.service`, where there is one, is taken as it is; else `mahavishnu-NAME.service` is written.
    """

    def __init__(self, folder: Path, logs: Path) -> None:
        self._folder = folder
        self._logs = logs
        self._reached: tuple[bool, float] = (False, -math.inf)  # and when that was asked

    def knows(self, name: str) -> bool:
        """Tell whether it has a service of that name which we did not write, or runs ours."""
        if time.monotonic() - self._reached[1] > REACHED_FOR_S:  # each question costs a process
            self._reached = (is_reached(), time.monotonic())
        if not self._reached[0]:
            return False
        found = self._find(name)
        return found == f"{name}{SUFFIX}" or (
            found is not None and self.state(name).state == "running"
        )

    async def check(self, unit: Unit) -> None:
        """Raise nothing: what a unit says, a file of systemd can say."""

    async def start(self, unit: Unit, *, restarts: int = 0) -> None:  # noqa: ARG002 - it counts its own
        """Start a service, and write its file first, unless it is the user's; as `Backend.start`."""
        await asyncio.to_thread(self._start, unit)

    async def stop(self, unit: Unit) -> None:
        """Stop a service and all of its control group."""
        found = await asyncio.to_thread(self._find, unit.name)
        if found is not None:
            await asyncio.to_thread(_ask, "stop", found, timeout_s=unit.grace_s + ASK_TIMEOUT_S)
            # One that ends by an error when it is asked to has not failed.
            await asyncio.to_thread(_ask, "reset-failed", found, check=False)

    def state(self, name: str) -> UnitState:
        """Return what it says of a service."""
        found = self._find(name)
        if found is None:
            return UnitState(state="stopped", why="systemd has no service of that name.")
        shown = _show(found)
        began = int(shown["ExecMainStartTimestampMonotonic"] or 0)
        ago = timedelta(seconds=time.monotonic() - began / 1e6)
        return UnitState(
            state=_STATES.get(shown["ActiveState"], "running"),
            pid=int(shown["MainPID"]) or None,
            since=datetime.now(UTC) - ago if began else None,
            restarts=int(shown["NRestarts"] or 0),
            why=_why(shown),
        )

    def log(self, name: str) -> Path:
        """Return the file that we would let a service print to."""
        return self._logs / f"{name}.log"

    def _start(self, unit: Unit) -> None:
        if (found := self._find(unit.name)) != f"{unit.name}{SUFFIX}":
            found = own_name(unit.name)
            self._logs.mkdir(parents=True, exist_ok=True)
            if place(self._folder / found, sealed(render_unit(unit, log=self.log(unit.name)))):
                _ask("daemon-reload")
            _ask("reset-failed", found, check=False)  # after a crash loop it would refuse
        done = _ask("start", found, check=False)
        if done.returncode:
            raise not_started(unit, "systemd", f"{done.stderr.strip()} {self.state(unit.name).why}")

    def _find(self, name: str) -> str | None:
        for found in (f"{name}{SUFFIX}", own_name(name)):
            if _show(found)["LoadState"] not in ("not-found", "masked"):
                return found
        return None


def own_name(name: str) -> str:
    """Return what our service for a unit is called."""
    return f"mahavishnu-{name}{SUFFIX}"


def _show(service: str) -> dict[str, str]:
    lines = _ask("show", f"--property={','.join(SHOWN)}", service).stdout.splitlines()
    return dict.fromkeys(SHOWN, "") | dict(line.split("=", 1) for line in lines if "=" in line)


def _why(shown: dict[str, str]) -> str:
    if shown["SubState"] == "auto-restart":
        return f"It ended with status {shown['ExecMainStatus']}; systemd starts it again."
    if shown["Result"] in ("success", ""):
        return ""
    return f"It ended by {shown['Result']}, with status {shown['ExecMainStatus']}."


def _ask(
    *words: str, check: bool = True, timeout_s: float = ASK_TIMEOUT_S
) -> subprocess.CompletedProcess[str]:
    try:
        done = subprocess.run(
            (*SYSTEMCTL, *words), stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=timeout_s, check=False,
        )  # fmt: skip
    except (FileNotFoundError, subprocess.TimeoutExpired) as error:
        raise unreachable("systemd", str(error)) from error
    if check and done.returncode:
        raise unreachable("systemd", done.stderr.strip())
    return done
