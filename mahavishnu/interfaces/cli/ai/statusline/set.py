"""`mahavishnu ai statusline set`."""

import click

from mahavishnu.ai.clients.claude_code.own_settings.statusline import set_statusline
from mahavishnu.interfaces.cli.ai.claude_file import changes


@click.command("set")
@click.argument("command")
@changes(set_statusline)
def set_() -> None:
    """Show the first line that COMMAND, a line for a shell, prints."""
