"""`mahavishnu project split`."""

from pathlib import Path

import click

from mahavishnu.interfaces.cli.asking import asks
from mahavishnu.interfaces.cli.project.link import show_project


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--name", metavar="NAME", help="What to call it; the folder's name by default.")
@asks("split_project", show_project)
def split() -> None:
    """Make the checkout in FOLDER a project of its own; what is stored stays where it is."""
