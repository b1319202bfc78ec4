"""The port of backends: what starts and stops a unit, and tells whether it runs."""

from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

from msgspec import Struct

from mahavishnu.services.units.unit import Unit

# running; stopped: nobody wants it to run; failed: it ended by itself; stale: who kept it was killed, and what is left
# of it is ended by the daemon.
type RunState = Literal["running", "stopped", "failed", "stale"]


class UnitState(Struct, frozen=True, kw_only=True):
    """
    Whether a unit runs: its process, since when, how often it was restarted without anybody asking, and why.

    `definition` is what it was started with, which the settings may have changed since; `asked` says that the last run
    ended because somebody asked it to.
    """

    state: RunState
    pid: int | None = None
    since: datetime | None = None
    restarts: int = 0
    why: str = ""
    definition: Unit | None = None
    asked: bool = False


class Backend(Protocol):
    """
    Starts and stops units. What one call begins, another process may go on with: all that counts is on disk, or
    with the system's own supervisor.
    """

    async def check(self, unit: Unit) -> None:
        """Raise what `start` would, as far as it can be known without starting; who restarts a unit asks before."""

    async def start(self, unit: Unit, *, restarts: int = 0) -> None:
        """
        Start a unit; return once its process is there. One that runs already is left as it is.

        `restarts` is kept for `state`.

        Raises:
            MahavishnuError: `service.no_program`, `service.not_started`, or what its environment leads to.
        """

    async def stop(self, unit: Unit) -> None:
        """
        End a unit and all of its process group, by its own command or politely, by force after its grace.

        One that does not run is no error. It returns when nothing of it is left.
        """

    def state(self, name: str) -> UnitState:
        """Return whether the unit of a name runs, at this moment."""

    def log(self, name: str) -> Path:
        """Return the file of what the unit of a name prints; it need not be there."""
