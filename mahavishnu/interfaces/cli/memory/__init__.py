"""`mahavishnu memory`: what is remembered."""

import click

from mahavishnu.interfaces.cli.lazy import LazyGroup


@click.group(
    cls=LazyGroup,
    package=__package__,
    names=("embed", "forget", "import", "list", "search", "show", "stats", "store", "supersede"),
    later=("restore", "export"),
)
def memory() -> None:
    """Store, search, correct and forget memories."""
