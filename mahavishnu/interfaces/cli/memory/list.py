"""`mahavishnu memory list`."""

from typing import Any

import click
from msgspec import Struct

from mahavishnu.base.identifiers import shown
from mahavishnu.interfaces.cli.asking import ask
from mahavishnu.interfaces.cli.memory.options import filter_options
from mahavishnu.interfaces.cli.options import answers
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
@answers(_show)
async def list_(**fields: Any) -> Struct:
    """List memories, newest first."""
    return await ask("list_memories", max_tokens=None, **fields)
