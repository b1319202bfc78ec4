"""`mahavishnu ai hooks remove`."""

import click

from mahavishnu.ai.clients.claude_code.own_settings.hooks import remove_hook
from mahavishnu.interfaces.cli.ai.claude_file import changes


@click.command()
@click.argument("event")
@click.argument("command")
@click.option("--matcher", metavar="REGEX", help="Only under this one; under any by default.")
@changes(remove_hook)
def remove() -> None:
    """Stop running COMMAND at EVENT."""
