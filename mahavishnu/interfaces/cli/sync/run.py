"""`mahavishnu sync run`."""

import click
from msgspec import Struct

from mahavishnu.interfaces.cli.asking import ask
from mahavishnu.interfaces.cli.options import answers
from mahavishnu.interfaces.cli.sync.shown import has_failed, show_runs


@click.command()
@answers(show_runs, code=has_failed)
async def run() -> Struct:
    """Deliver now what is lacking; a daemon does so by itself. Exit code 5 where a target fails."""
    return await ask("run_sync")
