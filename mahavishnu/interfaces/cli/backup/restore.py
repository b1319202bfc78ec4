"""`mahavishnu backup restore`."""

from typing import TYPE_CHECKING

import click
from msgspec import Struct

from mahavishnu.interfaces.cli.backup.sets import ask_twice, set_argument
from mahavishnu.interfaces.cli.options import answers
from mahavishnu.interfaces.cli.render import local_time, print_line

if TYPE_CHECKING:
    from mahavishnu.operations.backup import (
        RestoredBackup,
        RestorePlan,
    )


def _show_plan(plan: "RestorePlan") -> None:
    print_line(f"Restore {plan.set} of {local_time(plan.created_at)}:")
    print_line(f"  {plan.memories_now:,} memories are replaced by {plan.memories:,} of the set.")
    if plan.stored_since:
        print_line(f"  {plan.stored_since:,} memories were stored since the set was made.")
    print_line("  The replaced database is kept: mahavishnu backup restore --undo")
    if plan.drops_kept:
        print_line("  The database that the restore before this one kept is dropped.")
    if not plan.proven:
        print_line("  No drill proved the set; every row is compared before anything is replaced.")
    if plan.migrates_to:
        print_line(f"  Its schema is older, and is migrated to {plan.migrates_to}.")
    if plan.missing_roles:
        print_line(f"  Roles that this server does not have: {', '.join(plan.missing_roles)}.")
    if not plan.has_room:
        print_line("  The disk has too little room for a second database.")
    for session in plan.connected:
        print_line(f"  Must end first: {session}.")


def _show_restored(done: "RestoredBackup | None") -> None:
    if done is None:
        print_line("Nothing was changed.")
    elif not done.confirmed and done.plan:
        _show_plan(done.plan)
    elif done.undo:
        print_line("The database from before the last restore is back.")
    elif done.plan:
        print_line(f"The database is restored from {done.plan.set}.")
        print_line("To go back: mahavishnu backup restore --undo")


@click.command()
@set_argument
@click.option(
    "--undo", is_flag=True, help="Bring back the database that the last restore replaced."
)
@click.option("--dry-run", is_flag=True, help="Only show the plan.")
@click.option("--yes", is_flag=True, help="Do not ask before replacing the database.")
@answers(_show_restored)
async def restore(set_: str, undo: bool, dry_run: bool, yes: bool) -> "Struct | None":
    """
    Replace the database by a set, after a plan and a question.

    Every row is compared before the databases change places. Nobody else may be connected meanwhile.
    The replaced database is kept until the next restore.
    """
    question = "Bring the former database back?" if undo else "Replace the database?"
    return await ask_twice(
        "restore_backup", _show_plan_of, lambda _: question, bar="Restore", dry_run=dry_run, yes=yes,
        set=set_, undo=undo,
    )  # fmt: skip


def _show_plan_of(shown: "RestoredBackup") -> None:
    if shown.plan:
        _show_plan(shown.plan)
