"""`mahavishnu project`: which project a checkout is of, where that cannot be known from it."""

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import click

from mahavishnu.interfaces.cli.asking import ask
from mahavishnu.interfaces.cli.options import asynchronous, json_option
from mahavishnu.interfaces.cli.render import print_json, print_line

if TYPE_CHECKING:
    from mahavishnu.operations.projects import CheckoutProject


@click.group()
def project() -> None:
    """Say which project a checkout belongs to."""


@project.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("project", metavar="NAME")
@json_option
@asynchronous
async def link(folder: Path, project: str, as_json: bool) -> None:
    """Let the checkout in FOLDER belong to the project NAME; what is stored stays where it is."""
    _print_linked(await ask("link_project", folder=folder, project=project), as_json=as_json)


@project.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--name", metavar="NAME", help="What to call it; the folder's name by default.")
@json_option
@asynchronous
async def split(folder: Path, name: str | None, as_json: bool) -> None:
    """Make the checkout in FOLDER a project of its own; what is stored stays where it is."""
    _print_linked(await ask("split_project", folder=folder, name=name), as_json=as_json)


def _print_linked(found: "CheckoutProject", *, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    print_line(f"{found.path} belongs to the project {found.project}.")
    if found.former is not None:
        words = f"{quote(found.path)} {quote(found.former)}"
        print_line(f"It belonged to {found.former}. To undo: mahavishnu project link {words}")
