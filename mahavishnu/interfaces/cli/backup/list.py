"""`mahavishnu backup list`."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click
from msgspec import Struct

from mahavishnu.interfaces.cli.asking import ask
from mahavishnu.interfaces.cli.backup.sets import age, size
from mahavishnu.interfaces.cli.options import answers
from mahavishnu.interfaces.cli.render import local_time, print_line, print_table

if TYPE_CHECKING:
    from mahavishnu.operations.backup import (
        BackupBody,
        BackupList,
    )


def _show_list(found: "BackupList") -> None:
    if found.sets:
        now = datetime.now(UTC)
        columns = ("set", "age", "size", "memories", "schema", "proven")
        print_table(columns, (_row(each, now) for each in found.sets))
    else:
        print_line("There is no backup yet. Make one: mahavishnu backup create")
    for each in found.unfinished:
        what = (
            "is being made or deleted"
            if each.active
            else "is left of a killed command; create or prune removes it"
        )
        print_line(f"{each.token} ({size(each.size_bytes)}) {what}.")


def _row(each: "BackupBody", now: datetime) -> tuple[str, ...]:
    if each.created_at is None:
        why = f"{each.problem.message} [{each.problem.code}]" if each.problem else ""
        return (each.set, "", "", "", "", f"unusable: {why}")
    proven = local_time(each.proven_at) if each.proven_at else "no"
    if each.drill_problem:
        proven = f"damaged: {each.drill_problem.code}"
    encrypted = ", encrypted" if each.encrypted else ""
    return (
        each.set, age(now - each.created_at), f"{size(each.size_bytes)}{encrypted}",
        f"{each.memories:,}", each.revision or "", proven,
    )  # fmt: skip


@click.command("list")
@answers(_show_list)
async def list_() -> Struct:
    """List the sets, newest first; damaged and unfinished ones too."""
    return await ask("list_backups", max_tokens=None)
