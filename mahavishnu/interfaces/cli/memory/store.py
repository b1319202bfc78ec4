"""`mahavishnu memory store`."""

from pathlib import Path
from typing import Any

import click
from msgspec import Struct

from mahavishnu.base.identifiers import shown
from mahavishnu.interfaces.cli.asking import ask
from mahavishnu.interfaces.cli.folders import show_degraded
from mahavishnu.interfaces.cli.memory.options import TYPES, name_options
from mahavishnu.interfaces.cli.memory.text import read_text
from mahavishnu.interfaces.cli.options import (
    answers,
    metadata_option,
    project_option,
    source_option,
)
from mahavishnu.interfaces.cli.render import print_line, print_spooled
from mahavishnu.operations.results import CheckpointFacts, StoreResult


def _show(stored: StoreResult) -> None:
    if stored.waits:
        print_spooled(stored)
        return
    _show_checkpoint(stored.checkpoint)
    print_line(f"{'Stored' if stored.created else 'Already stored as'} {shown(stored.id)}")
    if stored.not_kept:
        print_line(f"Not kept, as it says otherwise: {', '.join(stored.not_kept)}.")
    if len(stored.places) > 1:
        print_line(", ".join(f"{place}: {state}" for place, state in stored.places.items()))
    if not stored.embedded:
        print_line("It waits for its vector; words find it meanwhile (mahavishnu model status).")


def _show_checkpoint(facts: CheckpointFacts | None) -> None:
    if facts is None:
        return
    score = "" if facts.quality_score is None else f", quality {facts.quality_score} of 100"
    print_line(f"Commit {facts.commit or 'none'}{score}.")
    show_degraded(facts.degraded)


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
@click.option("--checkpoint", is_flag=True,
              help="Keep the commit of this folder, and its quality score, in the metadata.")  # fmt: skip
@click.option("--shared", is_flag=True, help="Let everyone who uses this database see it.")
@answers(_show)
async def store(text: str | None, shared: bool, checkpoint: bool, **fields: Any) -> Struct:
    """
    Remember TEXT (or what is piped in).

    The same text again gives the id it already has; what else is given with it is not kept.
    """
    visibility = "shared" if shared else "private"
    if checkpoint:
        fields["checkpoint"] = str(Path.cwd())
    return await ask("store_memory", content=read_text(text), visibility=visibility, **fields)
