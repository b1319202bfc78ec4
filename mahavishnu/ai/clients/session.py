"""What is known of a running session, whichever client it is of."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from mahavishnu.ai.clients.table import ClientName
from mahavishnu.base.processes import ProcessIdentity

# busy: it works on an answer; unknown: its client says nothing of it in a form that is known.
type Activity = Literal["idle", "busy", "unknown"]


@dataclass(frozen=True, kw_only=True)
class Session:
    """
    A session that runs.

    `id` is the client's own, by which it is resumed; empty where there is nothing to resume. `since` is
    the time, in seconds since the epoch, at which it read its settings. `model` is the one of the last
    answer, at the time `answered`: that may have been before it was resumed; empty without any. A busy one
    is so since `busy_since`, 0 where that is not known. With `shared` the process serves other sessions
    too; one that is `resumed` was begun in an earlier process, on what `provider` names. Unless `certain`,
    the pid may have come to mean another process.
    """

    client: ClientName
    id: str
    process: ProcessIdentity
    folder: str
    since: float
    activity: Activity = "unknown"
    model: str = ""
    answered: float = 0.0
    busy_since: float = 0.0
    provider: str = ""
    version: str = ""
    interactive: bool = True
    shared: bool = False
    resumed: bool = False
    certain: bool = True


class Finder(Protocol):
    """Finds the sessions of one client in the folder where that registers them."""

    def __call__(self, folder: Path, environ: Mapping[str, str], /) -> list[Session]:
        """Return those that run; a file that cannot be understood tells less, and stops nothing."""
        ...
