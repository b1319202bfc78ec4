"""Times as people and models write them."""

import re
from datetime import UTC, datetime

from mahavishnu.base.durations import read_duration
from mahavishnu.base.errors import UsageError
from mahavishnu.operations.refusals import brief

_SPAN = re.compile(r"\d{1,6}[mhdw]")


def is_relative(text: str | None) -> bool:
    """Tell whether a time is given from now, so that it is another one each time it is read."""
    return text is not None and _SPAN.fullmatch(text.strip()) is not None


def parse_moment(text: str | None, *, what: str) -> datetime | None:
    """Read a time as `read_moment` does; None stays None."""
    return None if text is None else read_moment(text, what=what)


def read_moment(text: str, *, what: str) -> datetime:
    """
    Read "7d", "12h", "30m", "2w" as that long ago, or an ISO date or time; local without a zone.

    Raises:
        UsageError: it is neither, or out of range.
    """
    span = _SPAN.fullmatch(text.strip())
    try:
        if span is not None:
            return datetime.now(UTC) - read_duration(span[0])
        moment = datetime.fromisoformat(text.strip())
        return moment.astimezone() if moment.tzinfo is None else moment
    except (ValueError, OverflowError) as error:
        raise UsageError(
            f"{what} {brief(text)!r} is not a time.",
            hint="Write 7d, 12h, 2w, 2026-11-21 or 2026-11-21T14:30+01:00.",
            code="input.time",
        ) from error
