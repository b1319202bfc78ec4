"""`mahavishnu project link`."""

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import click

from mahavishnu.interfaces.cli.asking import asks
from mahavishnu.interfaces.cli.render import print_line

if TYPE_CHECKING:
    from mahavishnu.operations.projects import CheckoutProject


def show_project(found: "CheckoutProject") -> None:
    print_line(f"{found.path} belongs to the project {found.project}.")
    if found.former is not None:
        words = f"{quote(found.path)} {quote(found.former)}"
        print_line(f"It belonged to {found.former}. To undo: mahavishnu project link {words}")


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("project", metavar="NAME")
@asks("link_project", show_project)
def link() -> None:
    """Let the checkout in FOLDER belong to the project NAME; what is stored stays where it is."""
