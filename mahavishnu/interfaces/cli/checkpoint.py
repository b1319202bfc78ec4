"""`mahavishnu checkpoint`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec import Struct

from mahavishnu.base.identifiers import shown
from mahavishnu.interfaces.cli.asking import ask
from mahavishnu.interfaces.cli.folders import folder_argument, show_degraded, show_quality
from mahavishnu.interfaces.cli.options import answers
from mahavishnu.interfaces.cli.render import print_line, print_spooled

if TYPE_CHECKING:
    from mahavishnu.operations.checkpoints import Checkpoint


def _show(made: "Checkpoint") -> None:
    if made.waits:
        print_spooled(made)
    else:
        print_line(f"Checkpoint {shown(made.id)} of {made.working_directory}")
    if made.commit:
        print_line(f"Commit {made.commit}")
    show_quality(made.quality)
    show_degraded(made.degraded)


@click.command()
@folder_argument
@click.option("--session", "session_id", metavar="ID", help="Session that shows it.")
@answers(_show)
async def checkpoint(folder: Path, session_id: str | None) -> Struct:
    """
    Keep the commit and the quality of DIR, this folder by default, and deliver what waits.

    Session-Buddy makes a checkpoint of its own. Refused in a linked worktree of git, where it would commit everything.
    """
    return await ask(
        "create_checkpoint", working_directory=str(folder.absolute()), session_id=session_id
    )
