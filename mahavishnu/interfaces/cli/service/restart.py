"""`mahavishnu service restart`."""

import click

from mahavishnu.ai.clients.table import PACKAGES, facts_of
from mahavishnu.interfaces.cli.ai import restart as ai_restart
from mahavishnu.interfaces.cli.lazy import not_yet
from mahavishnu.interfaces.cli.options import json_option

PROGRAMS = {facts_of(client).program: client for client in PACKAGES}
LATER = ("session-buddy", "agentdb", "all")


@click.command()
@click.argument("name", metavar="NAME", type=click.Choice([*PROGRAMS, *LATER]))
@json_option
@click.pass_context
def restart(context: click.Context, name: str, as_json: bool) -> None:
    """
    Restart NAME, and wait until it is there again.

    The program of a client means the client's sessions: `claude` does what
    `mahavishnu ai restart --client claude-code` does.
    """
    if name in LATER:
        raise not_yet(f"mahavishnu service restart {name}")
    context.invoke(ai_restart.restart, clients=(PROGRAMS[name],), as_json=as_json)
