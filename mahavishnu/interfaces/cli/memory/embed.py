"""`mahavishnu memory embed`."""

import click
from msgspec import Struct

from mahavishnu.interfaces.cli.asking import ask
from mahavishnu.interfaces.cli.options import answers
from mahavishnu.interfaces.cli.render import print_line


@click.command()
@click.option("--limit", default=0, help="Most memories; all by default.")
@answers(lambda done: print_line(f"Embedded {done.embedded} memories; {done.waiting} wait"))
async def embed(limit: int) -> Struct:
    """Give vectors to the memories that wait for them."""
    return await ask("embed_waiting", bar="Embedding", limit=limit)
