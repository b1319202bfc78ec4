"""`mahavishnu ai undo`."""

import click

from mahavishnu.ai.clients.table import CLIENTS
from mahavishnu.interfaces.cli.ai.options import overwrite_option
from mahavishnu.interfaces.cli.ai.switch_messages import print_members
from mahavishnu.interfaces.cli.options import answers, load_quietly
from mahavishnu.interfaces.cli.render import print_line
from mahavishnu.operations.ai.results import UndoResult
from mahavishnu.operations.ai.site import Environments
from mahavishnu.operations.ai.switching import undo_switch


def show_undo(body: UndoResult) -> None:
    """Print what was taken back."""
    for text in body.settled:
        print_line(text)
    names = ", ".join(CLIENTS[name].title for name in body.clients)
    print_line(f"The {body.title} was taken back: {names}.")
    print_members(body.given_up)
    for path in body.lost if body.id is not None else ():
        print_line(f"The key at {path} could not come back: it was never kept.")


@click.command()
@click.argument("id", required=False)
@overwrite_option
@answers(show_undo)
def undo(id: str | None, overwrite: bool) -> UndoResult:
    """Take a switch back, the last one that stands by default; other members stay as they are."""
    return undo_switch(Environments(load_quietly()), id, overwrite=overwrite)
