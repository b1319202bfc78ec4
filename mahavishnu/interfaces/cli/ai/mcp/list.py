"""`mahavishnu ai mcp list`."""

import click

from mahavishnu.interfaces.cli.ai.mcp.install import registration_scope_option
from mahavishnu.interfaces.cli.options import answers, load_quietly
from mahavishnu.interfaces.cli.render import print_table
from mahavishnu.operations.ai.registering import Registered, find_registrations


def _show(body: Registered) -> None:
    rows = (
        (each.client, "yes" if each.there else "no", each.transport or "no",
         {True: "yes", False: "no", None: ""}[each.current], each.path or "")
        for each in body.clients
    )  # fmt: skip
    print_table(("client", "there", "registered", "current", "in"), rows)


@click.command("list")
@registration_scope_option
@answers(_show)
def list_(scope: str) -> Registered:
    """Print which clients there are, which know this memory, and whether as it is reached now."""
    return find_registrations(load_quietly(), scope)
