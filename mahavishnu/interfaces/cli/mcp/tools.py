"""`mahavishnu mcp tools`."""

import click

from mahavishnu.interfaces.cli.options import answers
from mahavishnu.interfaces.cli.render import print_table
from mahavishnu.operations.table import Tools, list_tools


def _show(body: Tools) -> None:
    rows = (
        (
            each.name,
            "deletes" if each.destructive else "no" if each.read_only else "adds",
            each.description.partition(". ")[0],
        )
        for each in body.tools
    )
    print_table(("tool", "changes", "what for"), rows)


@click.command()
@answers(_show)
def tools() -> Tools:
    """List the tools with what they are for; needs neither daemon nor database."""
    return list_tools()
