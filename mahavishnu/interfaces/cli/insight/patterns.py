"""`mahavishnu insight patterns`."""

from typing import TYPE_CHECKING

import click

from mahavishnu.interfaces.cli.asking import asks
from mahavishnu.interfaces.cli.insight.shown import show_insights
from mahavishnu.interfaces.cli.render import print_line

if TYPE_CHECKING:
    from mahavishnu.operations.insight_requests import FoundPatterns


def _show(found: "FoundPatterns") -> None:
    show_insights(found.insights, found.behind)
    print_line(f"{found.changed:,} of {len(found.insights):,} are new, or have more behind them.")


@click.command()
@click.option(
    "--group", metavar="NAME", help="Those in which repositories of this group take part."
)
@asks("find_insight_patterns", _show, max_tokens=None)
def patterns() -> None:
    """Keep errors, failing workflows and insights that recur as insights of their own."""
