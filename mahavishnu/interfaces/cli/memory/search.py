"""`mahavishnu memory search`."""

import click

from mahavishnu.interfaces.cli.asking import asks
from mahavishnu.interfaces.cli.memory.hits import print_answer
from mahavishnu.interfaces.cli.memory.options import filter_options


@click.command()
@click.argument("query")
@click.option("--mode", default="hybrid", show_default=True, help="hybrid, vector or text.")
@click.option("--limit", default=10, show_default=True, help="Most hits.")
@click.option("--threshold", type=float, help="Least cosine similarity of the vector arm.")
@click.option("--max-tokens", type=int, help="Bound on the whole answer, 800 or more.")
@click.option(
    "--tier",
    "tiers",
    multiple=True,
    help="hot (in a daemon the default), cold, development or all.",
)
@click.option("--group", metavar="NAME", help="Only projects of this group of repositories.")
@click.option("--explain", is_flag=True, help="Show each arm's score and rank.")
@filter_options
@asks("search", print_answer)
def search() -> None:
    """Find the memories that answer QUERY, best first."""
