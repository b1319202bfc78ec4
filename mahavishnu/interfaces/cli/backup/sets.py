"""How sets are named on the command line, and their sizes and ages shown."""

from datetime import timedelta

import click

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
