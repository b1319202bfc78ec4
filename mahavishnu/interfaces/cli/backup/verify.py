"""`mahavishnu backup verify`."""

from typing import TYPE_CHECKING

import click
from msgspec import Struct

from mahavishnu.interfaces.cli.asking import ask
from mahavishnu.interfaces.cli.backup.sets import set_argument, size
from mahavishnu.interfaces.cli.options import answers
from mahavishnu.interfaces.cli.render import print_line

if TYPE_CHECKING:
    from mahavishnu.operations.backup import (
        VerifiedBackup,
    )


def _show_verified(done: "VerifiedBackup") -> None:
    print_line(f"{done.set}: every byte is what was written ({size(done.size_bytes)}).")


@click.command()
@set_argument
@answers(_show_verified)
async def verify(set_: str) -> Struct:
    """Read every byte of a set and compare it; one that is encrypted is decrypted where its key is there."""
    return await ask("verify_backup", bar="Verify", set=set_)
