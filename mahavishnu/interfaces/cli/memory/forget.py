"""`mahavishnu memory forget`."""

import sys
from typing import Any

import click

from mahavishnu.base.errors import Forbidden, UsageError
from mahavishnu.base.identifiers import shown
from mahavishnu.interfaces.cli.asking import opened_call, prepare
from mahavishnu.interfaces.cli.memory.options import filter_options
from mahavishnu.interfaces.cli.options import answers, confirm, parameter
from mahavishnu.interfaces.cli.render import print_line
from mahavishnu.memory.checks import no_memory
from mahavishnu.operations.results import ForgetResult


def _show(told: ForgetResult | None) -> None:
    if told is None:
        print_line("Nothing was forgotten.")
        return
    verb = ("Would delete", "Deleted") if parameter("purge") else ("Would forget", "Forgot")
    print_line(f"{verb[told.confirmed]} {told.count} memories")
    for identifier in told.ids[:20] if parameter("dry_run") else []:
        print_line(f"  {shown(identifier)}")
    if told.not_reached:
        print_line(f"What may hold them still: {'; '.join(told.not_reached)}.")
    elif told.confirmed and told.count and told.restorable_for_s:
        print_line("They can be put back: mahavishnu memory restore --list")


@click.command()
@click.argument("references", nargs=-1, metavar="[ID]...")
@click.option("--dry-run", is_flag=True, help="Only say what would be forgotten.")
@click.option(
    "--purge", is_flag=True, help="Delete for good; by ID also what was forgotten before."
)
@click.option("--yes", is_flag=True, help="Do not ask before a purge, or forgetting by filter.")
@filter_options
@answers(_show)
async def forget(
    references: tuple[str, ...], dry_run: bool, purge: bool, yes: bool, **narrowing: Any
) -> ForgetResult | None:
    """
    Forget memories by ID, or all that pass a filter; older versions go with them.

    `mahavishnu memory restore` puts them back, for as long as the setting memory.restorable_for says.
    """
    by_filter = any(value not in (None, ()) for value in narrowing.values())
    if bool(references) == by_filter:
        raise UsageError(
            "Name ids, or a filter, but not both.",
            hint="For example: mahavishnu memory forget --project old --dry-run",
            code="memory.forget_what",
        )
    asks = (by_filter or purge) and not (dry_run or yes)
    require_yes(given=not asks, what="Deleting for good" if purge else "Forgetting by filter")
    selected = prepare("select_memories", **narrowing)
    async with opened_call() as call:
        ids = [str(each) for each in (await selected(call)).ids] if by_filter else references
        fields = {"ids": ids, "purge": purge, "max_tokens": None}
        told: ForgetResult = await prepare("forget_memory", **fields)(call)
        if references:
            _require_all(told)
        if asks and not confirm(f"{'Delete' if purge else 'Forget'} {told.count} memories?"):
            return None
        if not dry_run:
            told = await prepare("forget_memory", confirm=True, **fields)(call)
    return told


def require_yes(*, given: bool, what: str) -> None:
    """Raise `UsageError` where consent is not given and nobody can be asked."""
    if not given and (parameter("as_json") or not sys.stdin.isatty()):
        raise UsageError(
            f"{what} needs --yes.",
            hint="See first what it would be: --dry-run",
            code="memory.unconfirmed",
        )


def _require_all(told: ForgetResult) -> None:
    """Refuse to forget some of what was named, where others are not there or not the caller's."""
    if told.not_found:
        raise no_memory(told.not_found[0])
    if told.not_own:
        raise Forbidden(
            f"{', '.join(map(shown, told.not_own))}: not yours to forget.",
            hint="Only who stored a memory can forget it.",
            code="memory.not_own",
        )
