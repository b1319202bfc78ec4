"""`mahavishnu backup drill`."""

from typing import TYPE_CHECKING

import click
from msgspec import Struct

from mahavishnu.interfaces.cli.asking import ask
from mahavishnu.interfaces.cli.backup.sets import set_argument
from mahavishnu.interfaces.cli.options import answers
from mahavishnu.interfaces.cli.render import print_line

if TYPE_CHECKING:
    from mahavishnu.operations.backup import (
        DrilledBackup,
    )


def _show_drilled(done: "DrilledBackup") -> None:
    print_line(
        f"{done.set} is proven: {done.rows:,} rows in {done.tables} tables restored in {done.seconds:g} s."
    )
    print_line(
        f"Searches that found their memory: {done.text_searches} by words, {done.vector_searches} by vectors."
    )


@click.command()
@set_argument
@answers(_show_drilled)
async def drill(set_: str) -> Struct:
    """Prove a set: restore it into a scratch database, compare every row, and search in it."""
    return await ask("drill_backup", bar="Drill", set=set_)
