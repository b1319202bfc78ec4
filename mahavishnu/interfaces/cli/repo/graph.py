"""`mahavishnu repo graph`."""

from typing import TYPE_CHECKING

import click

from mahavishnu.interfaces.cli.asking import asks
from mahavishnu.interfaces.cli.render import print_line
from mahavishnu.interfaces.cli.repo.list import report_cycle
from mahavishnu.knowledge.dependencies import draw_mermaid

if TYPE_CHECKING:
    from mahavishnu.operations.repository_requests import RepositoryList


def _show(found: "RepositoryList") -> None:
    graph = {each.name: each.depends_on for each in found.repositories}
    print_line(draw_mermaid(graph).rstrip("\n"))
    report_cycle(found.cycle)


@click.command()
@click.option(
    "--format", type=click.Choice(["mermaid"]), default="mermaid", show_default=True,
    expose_value=False,
)  # fmt: skip
@asks("list_repositories", _show, max_tokens=None)
def graph() -> None:
    """Print which repositories depend on which."""
