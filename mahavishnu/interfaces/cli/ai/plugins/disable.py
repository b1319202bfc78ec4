"""`mahavishnu ai plugins disable`."""

from functools import partial

import click

from mahavishnu.ai.clients.claude_code.own_settings.plugins import turn_plugin
from mahavishnu.interfaces.cli.ai.claude_file import changes


@click.command()
@click.argument("name", metavar="NAME@MARKETPLACE")
@changes(partial(turn_plugin, on=False))
def disable() -> None:
    """Do not use a plugin; with --scope project also where the project's own settings say so."""
