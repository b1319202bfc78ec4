"""`mahavishnu ai env unset`."""

import click

from mahavishnu.ai.clients.claude_code.own_settings.environment import unset_variables
from mahavishnu.interfaces.cli.ai.claude_file import changes


@click.command()
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@changes(unset_variables)
def unset() -> None:
    """Remove variables; running sessions keep what they had until they are started again."""
