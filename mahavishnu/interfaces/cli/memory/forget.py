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
    dry_run = parameter("dry_run")
    print_line(f"{'Would forget' if dry_run else 'Forgot'} {told.count} memories")
    for identifier in told.ids[:20] if dry_run else []:
        print_line(f"  {shown(identifier)}")


@click.command()
@click.argument("references", nargs=-1, metavar="[ID]...")
@click.option("--dry-run", is_flag=True, help="Only say what would be forgotten.")
@click.option("--yes", is_flag=True, help="Do not ask before forgetting by filter.")
@filter_options
@answers(_show)
async def forget(
    references: tuple[str, ...], dry_run: bool, yes: bool, **narrowing: Any
) -> ForgetResult | None:
    """Delete memories by ID, or all that pass a filter; older versions go with them."""
    by_filter = any(value not in (None, ()) for value in narrowing.values())
    if bool(references) == by_filter:
        raise UsageError(
            "Name ids, or a filter, but not both.",
            hint="For example: mahavishnu memory forget --project old --dry-run",
            code="memory.forget_what",
        )
    if by_filter and not (dry_run or yes) and (parameter("as_json") or not sys.stdin.isatty()):
        raise UsageError(
            "Forgetting by filter needs --yes.",
            hint="See first what it would be: --dry-run",
            code="memory.unconfirmed",
        )
    selected = prepare("select_memories", **narrowing)
    async with opened_call() as call:
        ids = [str(each) for each in (await selected(call)).ids] if by_filter else references
        told: ForgetResult = await prepare("forget_memory", ids=ids, max_tokens=None)(call)
        if references:
            _require_all(told)
        elif not (dry_run or yes or confirm(f"Forget {told.count} memories?")):
            return None
        if not dry_run:
            sure = prepare("forget_memory", ids=ids, max_tokens=None, confirm=True)
            told = await sure(call)
    return told


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
