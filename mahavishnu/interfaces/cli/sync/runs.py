"""`mahavishnu sync runs`."""

from typing import TYPE_CHECKING

import click

from mahavishnu.interfaces.cli.asking import asks
from mahavishnu.interfaces.cli.render import local_time, print_table

if TYPE_CHECKING:
    from mahavishnu.operations.sync import SyncRunList


def _show(found: "SyncRunList") -> None:
    print_table(
        ("started", "target", "why", "ending", "delivered", "refused", "waiting", "error"),
        (
            (local_time(each.started_at), each.target, each.why, each.ending, _count(each.delivered),
             _count(each.refused), _count(each.waiting), each.error or "")
            for each in found.runs
        ),
        empty="There was no run yet.",
    )  # fmt: skip


def _count(number: int | None) -> str:
    return "" if number is None else f"{number:,}"


@click.command()
@click.option("--target", metavar="NAME", help="Only this target, as sync status has it.")
@click.option("--limit", default=20, show_default=True, help="Most runs.")
@asks("list_sync_runs", _show)
def runs() -> None:
    """List the runs of sync, newest first: periodic ones, at a checkpoint, and asked for."""
