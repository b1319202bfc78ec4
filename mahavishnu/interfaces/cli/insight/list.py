"""`mahavishnu insight list`."""

from typing import TYPE_CHECKING, Any

import click
from msgspec import Struct

from mahavishnu.interfaces.cli.asking import ask
from mahavishnu.interfaces.cli.insight.shown import show_insights
from mahavishnu.interfaces.cli.options import answers

if TYPE_CHECKING:
    from mahavishnu.operations.insight_requests import InsightList


def _show(found: "InsightList") -> None:
    show_insights(found.insights, found.behind)


@click.command("list")
@click.option("--project", "projects", multiple=True, metavar="NAME",
              help="Those of this project, or shared with it; repeatable.")  # fmt: skip
@click.option("--group", metavar="NAME", help="Those of the repositories of this group.")
@click.option("--session", "session_id", metavar="ID", help="Found in this session.")
@click.option("--workflow", "workflow_id", metavar="ID", help="About this workflow.")
@click.option("--memory", metavar="ID", help="Found in this memory.")
@click.option(
    "--kind", type=click.Choice(["insight", "pattern"]), help="Found in texts, or recurring."
)
@click.option("--shared", is_flag=True, help="Only those shared with projects.")
@click.option("--limit", default=20, show_default=True, help="Most insights.")
@answers(_show)
async def list_(projects: tuple[str, ...], **given: Any) -> Struct:
    """List insights, newest first."""
    return await ask("list_insights", projects=list(projects), max_tokens=None, **given)
