"""`mahavishnu service stop`."""

import click

from mahavishnu.interfaces.cli.options import answers, load
from mahavishnu.interfaces.cli.service.acting import exit_code, show_results
from mahavishnu.interfaces.services import ask_act
from mahavishnu.operations.service_bodies import ServiceResults


@click.command()
@click.argument("names", metavar="NAME|all...", nargs=-1, required=True)
@click.option("--dry-run", is_flag=True, help="Only show what would be stopped.")
@answers(show_results, code=exit_code)
async def stop(names: tuple[str, ...], *, dry_run: bool) -> ServiceResults:
    """Stop services; they stay so until somebody starts them, or the next daemon begins."""
    return await ask_act(load(), "stop", [*names], confirm=not dry_run)
