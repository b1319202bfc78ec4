"""`mahavishnu insight share`."""

from typing import TYPE_CHECKING, Any

import click
from msgspec import Struct

from mahavishnu.interfaces.cli.asking import ask
from mahavishnu.interfaces.cli.insight.shown import show_insights
from mahavishnu.interfaces.cli.options import answers

if TYPE_CHECKING:
    from mahavishnu.operations.insight_requests import SharedInsights


def _show(shared: "SharedInsights") -> None:
    show_insights(shared.insights)


@click.command()
@click.argument("id", required=False)
@click.option("--session", "session_id", metavar="ID", help="The insights of this session.")
@click.option("--workflow", "workflow_id", metavar="ID", help="The insights about this workflow.")
@click.option("--to", multiple=True, metavar="REPO", help="A repository or project; repeatable.")
@click.option("--to-group", metavar="NAME", help="All repositories of a group.")
@click.option("--to-dependents", is_flag=True, help="All that depend on the insight's repository.")
@click.option("--shared", is_flag=True, help="Let every role of the database see it too.")
@answers(_show)
async def share(to: tuple[str, ...], shared: bool, **given: Any) -> Struct:
    """Let searches in other projects find an insight; ID is it, or a memory whose insights are meant."""
    visibility = "shared" if shared else "private"
    return await ask("share_insight", to=list(to), visibility=visibility, max_tokens=None, **given)
