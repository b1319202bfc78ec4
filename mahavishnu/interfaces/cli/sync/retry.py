"""`mahavishnu sync retry`."""

import click
from msgspec import Struct

from mahavishnu.interfaces.cli.asking import ask
from mahavishnu.interfaces.cli.options import answers
from mahavishnu.interfaces.cli.sync.shown import has_failed, show_runs


@click.command()
@click.argument("ids", nargs=-1, metavar="[ID]...")
@answers(show_runs, code=has_failed)
async def retry(ids: tuple[str, ...]) -> Struct:
    """Deliver dead letters once more, by the IDs of their memories, or all."""
    return await ask("retry_sync", ids=list(ids))
