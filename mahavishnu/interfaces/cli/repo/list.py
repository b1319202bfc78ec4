"""`mahavishnu repo list`."""

from typing import TYPE_CHECKING

import click

from mahavishnu.interfaces.cli.asking import asks
from mahavishnu.interfaces.cli.render import print_table, printable

if TYPE_CHECKING:
    from mahavishnu.operations.repository_requests import RepositoryList


def show_list(found: "RepositoryList") -> None:
    """Print repositories as a table."""
    rows = [
        (each.name, each.path, ", ".join(each.groups), ", ".join(each.depends_on),
         f"{each.chunks:,}", each.last_run.status if each.last_run else "")
        for each in found.repositories
    ]  # fmt: skip
    print_table(
        ("name", "path", "groups", "depends on", "chunks", "last run"), rows,
        empty="There is no repository. Add one: mahavishnu repo add FOLDER",
    )  # fmt: skip
    report_cycle(found.cycle)


def report_cycle(cycle: list[str]) -> None:
    """Print a circle of dependencies, if there is one."""
    if cycle:
        told = f"They depend on each other in a circle: {' -> '.join(cycle)}"
        click.echo(printable(told), err=True)


@click.command("list")
@asks("list_repositories", show_list, max_tokens=None)
def list_() -> None:
    """List the repositories that are known."""
