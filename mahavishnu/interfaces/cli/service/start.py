"""`mahavishnu service start`."""

import click

from mahavishnu.interfaces.cli.options import answers, load
from mahavishnu.interfaces.cli.service.acting import exit_code, show_results
from mahavishnu.interfaces.services import ask_act
from mahavishnu.operations.service_bodies import ServiceResults


@click.command()
@click.argument("names", metavar="NAME|all...", nargs=-1, required=True)
@answers(show_results, code=exit_code)
async def start(names: tuple[str, ...]) -> ServiceResults:
    """Start services after what they depend on, and wait until they are healthy."""
    return await ask_act(load(), "start", [*names])
