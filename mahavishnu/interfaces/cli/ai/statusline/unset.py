"""`mahavishnu ai statusline unset`."""

import click

from mahavishnu.ai.clients.claude_code.own_settings.statusline import unset_statusline
from mahavishnu.interfaces.cli.ai.claude_file import changes


@click.command()
@changes(unset_statusline)
def unset() -> None:
    """Remove the status line."""
