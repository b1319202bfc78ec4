"""`mahavishnu ai adopt`."""

from itertools import groupby

import click

from mahavishnu.ai.clients.table import ClientName
from mahavishnu.ai.switching.plan import Scope
from mahavishnu.base.identifiers import shown
from mahavishnu.interfaces.cli.ai.client_output import print_change
from mahavishnu.interfaces.cli.ai.options import changed_clients_option, provider_scope_option
from mahavishnu.interfaces.cli.ai.switch_messages import UNCHANGED
from mahavishnu.interfaces.cli.options import answers, load_quietly
from mahavishnu.interfaces.cli.render import print_line
from mahavishnu.operations.ai.results import Adopted
from mahavishnu.operations.ai.site import Environments
from mahavishnu.operations.ai.switching import adopt_changes


def _show(body: Adopted) -> None:
    for text in body.settled:
        print_line(text)
    for entry, files in groupby(body.adopted, key=lambda file: file.id):
        for file in files:
            print_line(f"{file.path}: what is there is adopted.")
            for each in file.members:
                print_change(each.path, each.before, each.after)
        print_line(f"To take it back: mahavishnu ai undo {shown(entry)}")
    if not body.adopted:
        print_line(UNCHANGED)


@click.command()
@changed_clients_option
@provider_scope_option
@answers(_show)
def adopt(clients: tuple[ClientName, ...], scope: Scope) -> Adopted:
    """
    Accept what was changed in clients' settings since a switch; no file is changed.

    It counts as written from then on: the next switch builds on it, and `ai undo` brings back what was
    written before.
    """
    return adopt_changes(Environments(load_quietly()), clients, scope)
