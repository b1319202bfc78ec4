"""`mahavishnu ai permissions remove`."""

import click

from mahavishnu.ai.clients.claude_code.own_settings.permissions import remove_rules
from mahavishnu.interfaces.cli.ai.claude_file import changes
from mahavishnu.interfaces.cli.ai.permissions.adding import rules_argument


@click.command()
@rules_argument
@changes(remove_rules)
def remove() -> None:
    """Take rules off all three lists."""
