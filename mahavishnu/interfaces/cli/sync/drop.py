"""`mahavishnu sync drop`."""

from typing import TYPE_CHECKING

import click
from msgspec import Struct

from mahavishnu.interfaces.cli.asking import ask
from mahavishnu.interfaces.cli.options import answers
from mahavishnu.interfaces.cli.render import print_line

if TYPE_CHECKING:
    from mahavishnu.operations.sync import SyncDropped


def _show(told: "SyncDropped") -> None:
    what = f"{len(told.dead_letters):,} dead letters" + (
        f" and {told.target}" if told.whole else ""
    )
    print_line(f"Gave up {what}." if told.confirmed else f"Would give up {what}; add --yes.")


@click.command()
@click.argument("target")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--yes", "confirm", is_flag=True, help="Do it, instead of saying what would go.")
@answers(_show)
async def drop(target: str, ids: tuple[str, ...], confirm: bool) -> Struct:
    """Give up dead letters of TARGET by the IDs of their memories, or the whole target. No memory is deleted."""
    return await ask("drop_sync", target=target, ids=list(ids), confirm=confirm)
