"""`mahavishnu ai bindings`."""

import click

from mahavishnu.interfaces.cli.ai.switch_messages import tell_note
from mahavishnu.interfaces.cli.options import answers, load
from mahavishnu.interfaces.cli.render import print_line, print_table
from mahavishnu.operations.ai.directories import BoundDirectories, find_bindings
from mahavishnu.operations.ai.site import Environments


def _show(body: BoundDirectories) -> None:
    if not body.bindings:
        print_line("No directory is bound to a profile.")
        return
    rows = (
        (each.directory, each.profile, each.state, ", ".join(each.guarded))
        for each in body.bindings
    )
    print_table(("directory", "profile", "state", "guarded"), rows)
    for each in body.bindings:
        for text in each.notes:
            print_line(f"{each.directory}: {text}")


@click.command()
@answers(_show)
def bindings() -> BoundDirectories:
    """List the bound directories, and whether sessions there can go on."""
    body = find_bindings(Environments(load()))
    if body.damaged:
        tell_note("the list was damaged, and its copy is taken.")
    return body
