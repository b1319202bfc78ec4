"""How sets are named on the command line, their sizes and ages shown, and what changes them confirmed."""

import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import click
from msgspec import Struct

from mahavishnu.base.errors import UsageError
from mahavishnu.interfaces.cli.asking import opened_call, prepare, shown_progress
from mahavishnu.interfaces.cli.options import confirm, parameter

set_argument = click.argument("set_", metavar="[SET]", default="latest")


def size(size_bytes: int | None) -> str:
    """Return a size for people."""
    left, unit = float(size_bytes or 0), "B"
    for larger in ("kB", "MB", "GB"):
        if left >= 1000:
            left, unit = left / 1000, larger
    return f"{left:.3g} {unit}" if left < 1000 else f"{left:,.0f} {unit}"


def age(since: timedelta) -> str:
    """Return an age for people; a clock that was set back makes it negative."""
    seconds = since.total_seconds()
    if seconds < -1:
        return "in the future"
    for unit, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{max(seconds, 0):.0f} s"


async def ask_twice(
    operation: str, show: Callable[[Any], object], question: Callable[[Any], str | None], *,
    bar: str, dry_run: bool, yes: bool, **fields: Any,
) -> Struct | None:  # fmt: skip
    """Ask what an operation would do, then to do it, where the user agrees; None where not, or without a question."""
    if not (dry_run or yes) and (parameter("as_json") or not sys.stdin.isatty()):
        raise UsageError(
            "This needs --yes.",
            hint="See first what it would do: --dry-run",
            code="backup.unconfirmed",
        )
    planned = prepare(operation, **fields)
    async with opened_call() as call:
        plan: Struct = await planned(call)
        if dry_run:
            return plan
        if not yes:
            show(plan)
            asked = question(plan)
            if asked is None or not confirm(asked):
                return None
        sure = prepare(operation, confirm=True, **fields)
        with shown_progress(call, bar) as shown:
            done: Struct = await sure(shown)
            return done
