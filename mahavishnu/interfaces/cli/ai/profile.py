"""`mahavishnu ai profile`: list, show, add, edit, remove, export, import, accept."""

import click

from mahavishnu.interfaces.cli.ai.profile_edit import add, edit, remove
from mahavishnu.interfaces.cli.ai.profile_show import list_, show
from mahavishnu.interfaces.cli.ai.profile_transfer import accept_, export, import_


@click.group()
def profile() -> None:
    """Providers that clients can be switched to."""


for _command in (list_, show, add, edit, remove, export, import_, accept_):
    profile.add_command(_command)
