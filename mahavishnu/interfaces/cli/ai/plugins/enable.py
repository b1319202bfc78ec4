"""`mahavishnu ai plugins enable`."""

from functools import partial

import click

from mahavishnu.ai.clients.claude_code.own_settings.plugins import turn_plugin
from mahavishnu.interfaces.cli.ai.claude_file import changes


@click.command()
@click.argument("name", metavar="NAME@MARKETPLACE")
@changes(partial(turn_plugin, on=True))
def enable() -> None:
    """Use a plugin."""
