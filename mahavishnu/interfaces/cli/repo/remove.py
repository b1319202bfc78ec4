"""`mahavishnu repo remove`."""

import click

from mahavishnu.interfaces.cli.asking import asks
from mahavishnu.interfaces.cli.render import print_line


@click.command()
@click.argument("name")
@asks(
    "remove_repository",
    lambda done: print_line(f"{done.name} is removed, with {done.chunks:,} chunks."),
)
def remove() -> None:
    """Forget a repository and its chunks; its files stay, and can be read again."""
