"""`mahavishnu workflow search`."""

import click

from mahavishnu.interfaces.cli.asking import asks
from mahavishnu.interfaces.cli.workflow.runs import narrowing, show_runs


@click.command()
@click.argument("query")
@narrowing
@asks("search_workflows", show_runs, max_tokens=None)
def search() -> None:
    """
    Find the runs that QUERY is about, best first.

    For example: mahavishnu workflow search "why do deployments fail" --repo shop --since 7d --with-context
    """
