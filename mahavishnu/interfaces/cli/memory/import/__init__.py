"""`mahavishnu memory import`: documents and histories."""

import click

from mahavishnu.interfaces.cli.lazy import LazyGroup


@click.group("import", cls=LazyGroup, package=__package__, names=("git", "markdown"))
def import_() -> None:
    """Import documents and histories; each run stores only what changed."""
