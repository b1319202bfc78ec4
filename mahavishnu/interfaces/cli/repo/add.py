"""`mahavishnu repo add`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mahavishnu.interfaces.cli.asking import asks
from mahavishnu.interfaces.cli.render import print_line
from mahavishnu.interfaces.cli.repo.list import show_list

if TYPE_CHECKING:
    from mahavishnu.operations.repository_requests import RepositoryList


def _show(added: "RepositoryList") -> None:
    show_list(added)
    if added.repositories:
        names = " ".join(each.name for each in added.repositories)
        print_line(f"To read them: mahavishnu repo ingest {names}")


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), required=False)
@click.option("--name", metavar="NAME", help="What to call it; the project's name by default.")
@click.option(
    "--from", "source", type=click.Path(path_type=Path), metavar="FILE",
    help="Add what a repos.yaml lists, with groups and dependencies.",
)  # fmt: skip
@asks("add_repositories", _show)
def add() -> None:
    """Make the repository in FOLDER known, or those of a file; nothing is read yet."""
