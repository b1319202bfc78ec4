"""`mahavishnu memory stats`."""

import click

from mahavishnu.interfaces.cli.asking import asks
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
@asks("memory_stats", _show, max_tokens=None)
def stats() -> None:
    """Count memories by type, collection and project."""
