"""`mahavishnu ai auto on`."""

import click

from mahavishnu.interfaces.cli.ai.auto_output import show
from mahavishnu.interfaces.cli.options import answers, load
from mahavishnu.operations.ai.auto import AutoState, SetAuto, set_auto
from mahavishnu.operations.ai.site import Environments


@click.command()
@answers(show)
def on() -> AutoState:
    """Fall back to the next profile of ai_environments.fallback where one fails, and return."""
    return set_auto(Environments(load()), SetAuto(intent="on"))
