"""`mahavishnu memory stats`."""

import click
from msgspec import Struct

from mahavishnu.interfaces.cli.asking import ask
from mahavishnu.interfaces.cli.options import answers
from mahavishnu.interfaces.cli.render import local_time, print_line, print_table
from mahavishnu.operations.results import Stats


def _show(counted: Stats) -> None:
    print_table(
        ("type", "collection", "project", "memories", "newest"),
        (
            (g.memory_type, g.collection, g.project or "", f"{g.memories:,}",
             local_time(g.newest) if g.newest else "")
            for g in counted.groups
        ),
    )  # fmt: skip
    totals = counted.totals
    print_line(
        f"{totals.live:,} memories, {totals.superseded:,} superseded, "
        f"{totals.waiting:,} waiting for vectors, {totals.size_bytes / 1e6:,.0f} MB, "
        f"model: {counted.model or 'none yet'}"
    )


@click.command()
@answers(_show)
async def stats() -> Struct:
    """Count memories by type, collection and project."""
    return await ask("memory_stats", max_tokens=None)
