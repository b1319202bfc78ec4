"""`mahavishnu spool drain`."""

from typing import TYPE_CHECKING

import click
from msgspec import Struct

from mahavishnu.interfaces.cli.asking import SOURCE, prepare
from mahavishnu.interfaces.cli.options import answers, opened_app
from mahavishnu.interfaces.cli.render import print_line
from mahavishnu.operations.operation import Call

if TYPE_CHECKING:
    from mahavishnu.operations.spool import DrainResult


def _show(done: "DrainResult") -> None:
    if done.busy:
        print_line("Another process stores what waits at this moment.")
    told = ("stored", "known", "settled", "refused")
    counts = [f"{getattr(done, name):,} {name}" for name in told if getattr(done, name)]
    print_line(f"{', '.join(counts)}." if counts else "Nothing waited.")


@click.command()
@click.option(
    "--from",
    "former",
    metavar="DATABASE",
    help="Also store what waits for this other database, as `spool status` names it.",
)
@answers(_show)
async def drain(former: str | None) -> Struct:
    """Store what waits now. Every command and the daemon do so as soon as PostgreSQL is back."""
    asked = prepare("drain_spool", former=former, confirm=True)
    async with opened_app(drain=False) as app:
        answer: Struct = await asked(Call(app, SOURCE))
        return answer
