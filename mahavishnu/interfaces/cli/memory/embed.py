"""`mahavishnu memory embed`."""

import click

from mahavishnu.interfaces.cli.asking import asks
from mahavishnu.interfaces.cli.render import print_line


@click.command()
@click.option("--limit", default=0, help="Most memories; all by default.")
@asks(
    "embed_waiting",
    lambda done: print_line(f"Embedded {done.embedded} memories; {done.waiting} wait"),
    bar="Embedding",
)
def embed() -> None:
    """Give vectors to the memories that wait for them."""
