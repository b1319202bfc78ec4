"""`mahavishnu workflow list`."""

import click

from mahavishnu.interfaces.cli.asking import asks
from mahavishnu.interfaces.cli.workflow.runs import narrowing, show_runs


@click.command("list")
@narrowing
@asks("search_workflows", show_runs, max_tokens=None)
def list_() -> None:
    """List runs, the newest first."""
