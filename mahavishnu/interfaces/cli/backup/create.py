"""`mahavishnu backup create`."""

from typing import TYPE_CHECKING

import click
from msgspec import Struct

from mahavishnu.interfaces.cli.asking import ask
from mahavishnu.interfaces.cli.backup.sets import size
from mahavishnu.interfaces.cli.options import answers
from mahavishnu.interfaces.cli.render import print_line

if TYPE_CHECKING:
    from mahavishnu.operations.backup import (
        BackupBody,
    )


def _show_created(made: "BackupBody") -> None:
    print_line(
        f"{made.set}: {made.memories:,} memories, {made.rows:,} rows, {size(made.size_bytes)}"
    )
    print_line(f"To prove that it restores: mahavishnu backup drill {made.number}")


@click.command()
@answers(_show_created)
async def create() -> Struct:
    """Make a set now; others may go on writing."""
    return await ask("create_backup", bar="Backup")
