"""
Units run by launchd, by the commands of its manual (`man launchctl`).

Nobody has run this on a Mac yet: the tests have a program in launchctl's place.
"""

import asyncio
import os
import re
import subprocess
from pathlib import Path

from mahavishnu.services.backends.launchd import render_plist
from mahavishnu.services.backends.owned_files import place, sealed
from mahavishnu.services.backends.system_backend import not_started, unreachable
from mahavishnu.services.units.backend import UnitState
from mahavishnu.services.units.unit import Unit

# What other programs call a service of theirs that we know by another name.
LABELS = {"session-buddy": "com.sessionbuddy.server"}
ASK_TIMEOUT_S = 30.0
_FIELD = re.compile(r"^\t(pid|state|runs|last exit code) = (.+)$", re.MULTILINE)


class LaunchdBackend:
    """
    Runs units as agents of the user's; a `SystemBackend`.

    An agent by the label that another program gives it, where there is one, is taken as it is; else
    `com.mahavishnu.NAME` is written.
    """

    def __init__(self, folder: Path, logs: Path) -> None:
        self._folder = folder
        self._logs = logs
        self._domain = f"gui/{os.getuid()}"

    def knows(self, name: str) -> bool:
        """Tell whether there is an agent of another program's, loaded or not, or ours runs."""
        return self._find(name) == LABELS.get(name, "") or self.state(name).state == "running"

    async def check(self, unit: Unit) -> None:
        """Raise nothing: what a unit says, a property list can say."""

    async def start(self, unit: Unit, *, restarts: int = 0) -> None:  # noqa: ARG002 - it counts its own
        """Start an agent, and write its file first, unless it is the user's; as `Backend.start`."""
        await asyncio.to_thread(self._start, unit)

    async def stop(self, unit: Unit) -> None:
        """Unload an agent, which ends it; it is there again with the next login, or `start`."""
        label = await asyncio.to_thread(self._find, unit.name)
        if label is not None and _is_loaded(self._target(label)):
            timeout_s = unit.grace_s + ASK_TIMEOUT_S
            await asyncio.to_thread(_ask, "bootout", self._target(label), timeout_s=timeout_s)

    def state(self, name: str) -> UnitState:
        """Return what it says of an agent."""
        label = self._find(name)
        shown = label and _ask("print", self._target(label), check=False)
        if not shown or shown.returncode:
            return UnitState(state="stopped", why="launchd has not loaded it.")
        fields = dict(_FIELD.findall(shown.stdout))
        restarts = max(0, int(fields.get("runs", "1")) - 1)
        if fields.get("state") == "running" and "pid" in fields:
            return UnitState(state="running", pid=int(fields["pid"]), restarts=restarts)
        status = fields.get("last exit code", "")
        failed = status not in ("", "0", "(never exited)")
        why = f"It ended with status {status}." if failed else ""
        return UnitState(state="failed" if failed else "stopped", restarts=restarts, why=why)

    def log(self, name: str) -> Path:
        """Return the file that we would let an agent print to."""
        return self._logs / f"{name}.log"

    def _start(self, unit: Unit) -> None:
        own = f"com.mahavishnu.{unit.name}"
        label = self._find(unit.name) or own
        path = self._folder / f"{label}.plist"
        if label == own:
            self._logs.mkdir(parents=True, exist_ok=True)
            text = render_plist(unit, label=own, log=self.log(unit.name))
            if place(path, sealed(text)) and _is_loaded(self._target(own)):
                _ask("bootout", self._target(own))
        if not _is_loaded(self._target(label)):
            done = _ask("bootstrap", self._domain, str(path), check=False)
            if done.returncode:
                raise not_started(unit, "launchd", done.stderr.strip())
        _ask("kickstart", self._target(label))

    def _find(self, name: str) -> str | None:
        known = (LABELS[name],) if name in LABELS else ()
        for label in (*known, f"com.mahavishnu.{name}"):
            if (self._folder / f"{label}.plist").exists() or _is_loaded(self._target(label)):
                return str(label)
        return None

    def _target(self, label: str) -> str:
        return f"{self._domain}/{label}"


def _is_loaded(target: str) -> bool:
    return _ask("print", target, check=False).returncode == 0


def _ask(
    *words: str, check: bool = True, timeout_s: float = ASK_TIMEOUT_S
) -> subprocess.CompletedProcess[str]:
    try:
        done = subprocess.run(
            ("launchctl", *words), stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=timeout_s, check=False,
        )  # fmt: skip
    except (FileNotFoundError, subprocess.TimeoutExpired) as error:
        raise unreachable("launchd", str(error)) from error
    if check and done.returncode:
        raise unreachable("launchd", done.stderr.strip())
    return done
