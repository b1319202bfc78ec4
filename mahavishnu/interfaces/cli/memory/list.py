"""`mahavishnu memory list`."""

import click

from mahavishnu.base.identifiers import shown
from mahavishnu.interfaces.cli.asking import asks
from mahavishnu.interfaces.cli.memory.options import filter_options
from mahavishnu.interfaces.cli.render import excerpt, local_time, print_table
from mahavishnu.operations.results import MemoryPage


def _show(page: MemoryPage) -> None:
    print_table(
        ("id", "when", "type", "project", "content"),
        (
            (shown(m.id), local_time(m.occurred_at), m.memory_type, m.project or "", excerpt(m.content))
            for m in page.memories
        ),
    )  # fmt: skip


@click.command("list")
@click.option("--limit", default=20, show_default=True)
@click.option("--offset", default=0, show_default=True)
@click.option("--cursor", metavar="TEXT", help="next_cursor of the page before (--json).")
@filter_options
@asks("list_memories", _show, max_tokens=None)
def list_() -> None:
    """List memories, newest first."""
