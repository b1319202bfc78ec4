"""`mahavishnu ai auto off`."""

import click

from mahavishnu.interfaces.cli.ai.auto_output import show
from mahavishnu.interfaces.cli.options import answers, load
from mahavishnu.operations.ai.auto import AutoState, SetAuto, set_auto
from mahavishnu.operations.ai.site import Environments


@click.command()
@answers(show)
def off() -> AutoState:
    """Switch no client automatically, and watch none."""
    return set_auto(Environments(load()), SetAuto(intent="off"))
