"""`mahavishnu memory store`."""

from typing import Any

import click
from msgspec import Struct

from mahavishnu.base.identifiers import shown
from mahavishnu.interfaces.cli.asking import ask
from mahavishnu.interfaces.cli.memory.options import TYPES, name_options
from mahavishnu.interfaces.cli.memory.text import read_text
from mahavishnu.interfaces.cli.options import (
    answers,
    metadata_option,
    project_option,
    source_option,
)
from mahavishnu.interfaces.cli.render import print_line, print_spooled
from mahavishnu.operations.results import StoreResult


def _show(stored: StoreResult) -> None:
    if stored.waits:
        print_spooled(stored)
        return
    print_line(f"{'Stored' if stored.created else 'Already stored as'} {shown(stored.id)}")
    if stored.not_kept:
        print_line(f"Not kept, as it says otherwise: {', '.join(stored.not_kept)}.")
    if not stored.embedded:
        print_line("It waits for its vector; words find it meanwhile (mahavishnu model status).")


@click.command()
@click.argument("text", required=False)
@click.option("--type", "memory_type", default="agent", show_default=True, metavar="TYPE",
              help=f"{TYPES}.")  # fmt: skip
@click.option(
    "--collection", metavar="NAME", help="Kind within the type; its usual one by default."
)
@source_option
@metadata_option
@project_option
@name_options
@click.option("--occurred-at", metavar="WHEN", help="When it happened; now by default.")
@click.option("--shared", is_flag=True, help="Let everyone who uses this database see it.")
@answers(_show)
async def store(text: str | None, shared: bool, **fields: Any) -> Struct:
    """
    Remember TEXT (or what is piped in).

    The same text again gives the id it already has; what else is given with it is not kept.
    """
    visibility = "shared" if shared else "private"
    return await ask("store_memory", content=read_text(text), visibility=visibility, **fields)
