"""`mahavishnu ai auto pin`."""

import click

from mahavishnu.interfaces.cli.ai.auto_output import show
from mahavishnu.interfaces.cli.options import answers, load
from mahavishnu.operations.ai.auto import AutoState, SetAuto, set_auto
from mahavishnu.operations.ai.site import Environments


@click.command()
@answers(show)
def pin() -> AutoState:
    """Stay with the present profiles whatever fails; failures are recorded, and alerts report them."""
    return set_auto(Environments(load()), SetAuto(intent="pinned"))
