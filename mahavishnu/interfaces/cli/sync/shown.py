"""How a run of targets is shown, and its exit code."""

from typing import TYPE_CHECKING

from mahavishnu.interfaces.cli.render import print_line

if TYPE_CHECKING:
    from mahavishnu.operations.sync import SyncRuns

NOTHING = "Nothing follows your memories. The setting sync.mirror.path switches a mirror on."
_ENDINGS = {
    "done": "up to date",
    "busy": "another process delivers to it now",
    "waiting": "its next attempt is not due",
    "failed": "failed",
}


def show_runs(done: "SyncRuns") -> None:
    """Print how each target fared."""
    if not done.runs:
        print_line(NOTHING)
    for ran in done.runs:
        dead = f", {ran.dead:,} refused for good" if ran.dead else ""
        print_line(f"{ran.target}: {_ENDINGS[ran.ending]}; {ran.delivered:,} delivered{dead}")
        if ran.error:
            print_line(f"  {ran.error} [{ran.error_code}]")


def has_failed(done: "SyncRuns") -> int:
    """Return 5, as for everything that may work later, where a target could not take something."""
    return 5 if any(ran.ending == "failed" for ran in done.runs) else 0
