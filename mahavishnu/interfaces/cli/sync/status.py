"""`mahavishnu sync status`."""

from typing import TYPE_CHECKING

import click
from msgspec import Struct

from mahavishnu.base.identifiers import shown
from mahavishnu.interfaces.cli.asking import ask
from mahavishnu.interfaces.cli.options import answers
from mahavishnu.interfaces.cli.render import local_time, print_line
from mahavishnu.interfaces.cli.sync.shown import NOTHING

if TYPE_CHECKING:
    from mahavishnu.memory.outbox.states import TargetState
    from mahavishnu.operations.sync import SyncState


def _show(state: "SyncState") -> None:
    if not state.targets:
        print_line(NOTHING)
    for each in state.targets:
        for line in _lines(each):
            print_line(line)
    for letter in state.dead_letters:
        print_line(
            f"Dead letter {shown(letter.memory_id)} for {letter.target}: {letter.error} [{letter.error_code}]"
        )


def _lines(target: "TargetState") -> list[str]:
    lines = [target.name if target.configured else f"{target.name} (not in the settings here)"]
    held = f", {target.held_back:,} of them in open transactions" if target.held_back else ""
    lacks = f"lacks {target.pending:,} changes{held}" if target.pending else "up to date"
    lines.append(f"  {target.delivered:,} changes delivered; {lacks}")
    if target.error:
        due = local_time(target.next_at) if target.next_at else "now"
        lines.append(f"  failed {target.attempts} times, next attempt {due}: {target.error}")
    if target.dead:
        lines.append(f"  {target.dead:,} dead letters: mahavishnu sync retry")
    return lines


@click.command()
@answers(_show)
async def status() -> Struct:
    """Show how far each target is, what it lacks, and what it refused for good."""
    return await ask("sync_status")
