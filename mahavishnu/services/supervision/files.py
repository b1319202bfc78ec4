"""
What a runner and daemons tell each other of a unit, through files of the state folder.

`NAME.lock` is held by the runner, `NAME.json` says what it does, `logs/NAME.log` is what the unit prints; `lease` is
held by the daemon. Standard library only, as all that the runner imports.
"""

import fcntl
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from mahavishnu.base.processes import ProcessIdentity

KEPT_BY_ANOTHER = 3  # the exit status of a runner that found another one
RUN_VARIABLE = (
    "MAHAVISHNU_UNIT_RUN"  # has the id of a run in the environment of all that belongs to it
)


@dataclass(frozen=True)
class UnitFiles:
    """The names in the folder of all units."""

    folder: Path

    @property
    def lease(self) -> Path:
        """Locked by the daemon that supervises, for as long as it lives."""
        return self.folder / "lease"

    @property
    def wanted(self) -> Path:
        """The units that are to run; absent after a daemon that ended in order."""
        return self.folder / "wanted.json"

    def lock(self, name: str) -> Path:
        """Locked by the runner of a unit."""
        return self.folder / f"{name}.lock"

    def record(self, name: str) -> Path:
        """What the last runner of a unit did."""
        return self.folder / f"{name}.json"

    def log(self, name: str) -> Path:
        """What the unit prints."""
        return self.folder / "logs" / f"{name}.log"


@dataclass(frozen=True)
class RunEnd:
    """How a run ended: with which status (negative: by that signal), whether it was asked to, and why."""

    status: int
    asked: bool
    why: str


@dataclass(frozen=True)
class RunRecord:
    """
    A run: its id, its runner, the unit's process, since when (UTC), the definition it was started with.

    A killed runner's record stays as it was, without an end.
    """

    run: str
    runner: ProcessIdentity
    unit: ProcessIdentity
    since: str
    restarts: int
    definition: dict[str, Any]
    note: str = ""  # what does not work beside the unit, as its log
    ended: RunEnd | None = None

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """Return the record in a file; None where there is none, or it is no whole one."""
        try:
            fields = json.loads(path.read_bytes())
            ended = fields.pop("ended")
            runner, unit = (ProcessIdentity(**fields.pop(each)) for each in ("runner", "unit"))
            return cls(**fields, runner=runner, unit=unit, ended=ended and RunEnd(**ended))
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None

    def write(self, path: Path) -> None:
        """Replace the file in one step; raises OSError."""
        temporary = path.with_suffix(".new")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(json.dumps(asdict(self)).encode())
        temporary.replace(path)


def has_daemon(lease: Path) -> bool:
    """
    Tell whether a daemon holds the lease; runners that look at the same time do not see each other.

    Where that cannot be seen there may be one, and no unit ends for it.
    """
    try:
        descriptor = os.open(lease, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:  # held, or no lock can be had
        return True
    finally:
        os.close(descriptor)
    return False
