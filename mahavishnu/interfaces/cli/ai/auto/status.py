"""`mahavishnu ai auto status`."""

import click

from mahavishnu.interfaces.cli.ai.auto_output import show
from mahavishnu.interfaces.cli.options import answers, load
from mahavishnu.operations.ai.auto import AutoState, AutoStatus, auto_status
from mahavishnu.operations.ai.site import Environments


@click.command()
@answers(show)
def status() -> AutoState:
    """Show what is done where a profile fails, and which clients were switched so."""
    return auto_status(Environments(load()), AutoStatus())
