"""`mahavishnu resume`: let automatic acts go on."""

import click

from mahavishnu.interfaces.cli.options import answers, load_quietly
from mahavishnu.interfaces.cli.pause import show
from mahavishnu.operations.automation import Automation
from mahavishnu.operations.automation import resume as end
from mahavishnu.services.schedule.pause import PauseFile


@click.command()
@answers(show)
def resume() -> Automation:
    """End a pause; what was due meanwhile is done once."""
    return end(PauseFile(load_quietly().locations.state))
