"""`mahavishnu project`: which project a checkout is of, where that cannot be known from it."""

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import click
from msgspec import Struct

from mahavishnu.interfaces.cli.asking import ask
from mahavishnu.interfaces.cli.options import answers
from mahavishnu.interfaces.cli.render import print_line

if TYPE_CHECKING:
    from mahavishnu.operations.projects import CheckoutProject


@click.group()
def project() -> None:
    """Say which project a checkout belongs to."""


def _show(found: "CheckoutProject") -> None:
    print_line(f"{found.path} belongs to the project {found.project}.")
    if found.former is not None:
        words = f"{quote(found.path)} {quote(found.former)}"
        print_line(f"It belonged to {found.former}. To undo: mahavishnu project link {words}")


@project.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("project", metavar="NAME")
@answers(_show)
async def link(folder: Path, project: str) -> Struct:
    """Let the checkout in FOLDER belong to the project NAME; what is stored stays where it is."""
    return await ask("link_project", folder=folder, project=project)


@project.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--name", metavar="NAME", help="What to call it; the folder's name by default.")
@answers(_show)
async def split(folder: Path, name: str | None) -> Struct:
    """Make the checkout in FOLDER a project of its own; what is stored stays where it is."""
    return await ask("split_project", folder=folder, name=name)
