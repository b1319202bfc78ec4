"""`mahavishnu backup prune`."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click
from msgspec import Struct

from mahavishnu.interfaces.cli.backup.sets import age, ask_twice
from mahavishnu.interfaces.cli.options import answers
from mahavishnu.interfaces.cli.render import print_line, print_table

if TYPE_CHECKING:
    from mahavishnu.operations.backup_pruning import PrunedBackups


def _show(done: "PrunedBackups | None") -> None:
    if done is None:
        print_line("Nothing was removed.")
        return
    now, goes = datetime.now(UTC), "removed" if done.confirmed else "may go"
    print_table(
        ("set", "age", ""),
        ((each.set, age(now - each.created_at), each.stays or goes) for each in done.sets),
    )
    print_line(f"{'Removed' if done.confirmed else 'Would remove'} {done.count:,} sets.")
    if done.drops_replaced:
        print_line("The database from before the last restore goes, too.")


def _question(plan: "PrunedBackups") -> str | None:
    return "Remove them?" if plan.count or plan.drops_replaced else None


@click.command()
@click.option(
    "--replaced", is_flag=True, help="Also drop the database that the last restore replaced."
)
@click.option("--dry-run", is_flag=True, help="Only show what would go.")
@click.option("--yes", is_flag=True, help="Do not ask before removing sets.")
@answers(_show)
async def prune(replaced: bool, dry_run: bool, yes: bool) -> "Struct | None":
    """
    Remove sets that the setting backup.keep does not keep, after a question.

    The newest proven set always stays. After --replaced the last restore cannot be undone.
    """
    return await ask_twice(
        "prune_backups", _show, _question, bar="Prune", dry_run=dry_run, yes=yes,
        replaced=replaced, max_tokens=None,
    )  # fmt: skip
