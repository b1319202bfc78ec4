"""`mahavishnu memory search`."""

from typing import Any

import click
from msgspec import Struct

from mahavishnu.interfaces.cli.asking import ask
from mahavishnu.interfaces.cli.memory.hits import print_answer
from mahavishnu.interfaces.cli.memory.options import filter_options
from mahavishnu.interfaces.cli.options import answers


@click.command()
@click.argument("query")
@click.option("--mode", default="hybrid", show_default=True, help="hybrid, vector or text.")
@click.option("--limit", default=10, show_default=True, help="Most hits.")
@click.option("--threshold", type=float, help="Least cosine similarity of the vector arm.")
@click.option("--max-tokens", type=int, help="Bound on the whole answer, 800 or more.")
@click.option("--tier", "tiers", multiple=True, help="cold (the default), hot, development or all.")
@click.option("--group", metavar="NAME", help="Only projects of this group of repositories.")
@click.option("--explain", is_flag=True, help="Show each arm's score and rank.")
@filter_options
@answers(print_answer)
async def search(**fields: Any) -> Struct:
    """Find the memories that answer QUERY, best first."""
    return await ask("search", **fields)
