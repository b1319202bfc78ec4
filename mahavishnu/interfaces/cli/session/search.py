"""`mahavishnu session search`."""

import click

from mahavishnu.interfaces.cli.asking import asks
from mahavishnu.interfaces.cli.memory.hits import print_answer
from mahavishnu.interfaces.cli.options import since_option, until_option


@click.command()
@click.argument("query")
@click.option("--session", "session_id", metavar="ID", help="Only this session.")
@click.option("--agent", "agent_id", metavar="ID", help="Only this agent.")
@click.option("--project", "projects", multiple=True, metavar="NAME", help="Repeatable.")
@since_option
@until_option
@click.option("--limit", default=10, show_default=True, help="Most turns.")
@asks("search", print_answer, collections=["conversation"], max_tokens=None)
def search() -> None:
    """Find the turns that answer QUERY, best first: `memory search --collection conversation`."""
