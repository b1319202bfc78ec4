"""`mahavishnu db check`."""

from typing import TYPE_CHECKING

import click
from msgspec import Struct

from mahavishnu.base.errors import Corrupt
from mahavishnu.interfaces.cli.asking import ask
from mahavishnu.interfaces.cli.options import answers
from mahavishnu.interfaces.cli.render import print_line

if TYPE_CHECKING:
    from mahavishnu.operations.integrity import DatabaseCheck


def _show(done: "DatabaseCheck") -> None:
    for each in done.findings:
        print_line(f"{each.severity:<7} {each.name}: {each.summary}\n        {each.hint}")
    if not done.findings:
        print_line("Everything fits together.")
    if done.others_left_out:
        print_line("Only your own rows were checked; others may use this database too.")


@click.command()
@answers(_show, code=lambda done: 0 if done.sound else Corrupt.exit_code)
async def check() -> Struct:
    """
    Look for memories that no search finds, rows that lead nowhere, unused indexes and bloat.

    Changes nothing, and names what fixes each finding. Ends with 7 where one is an error.
    """
    return await ask("check_database")
