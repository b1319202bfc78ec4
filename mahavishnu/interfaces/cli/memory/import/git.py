"""`mahavishnu memory import git`."""

from pathlib import Path

import click

from mahavishnu.interfaces.cli.asking import asks
from mahavishnu.interfaces.cli.memory.imported import show_imported


@click.command()
@click.argument("repository", type=click.Path(path_type=Path))
@click.option("--project", metavar="NAME", help="The repository's own by default.")
@asks("import_git", show_imported, bar="Importing commits")
def git() -> None:
    """Remember the commits of REPOSITORY that are not remembered yet."""
