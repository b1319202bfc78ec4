"""What enters is checked once: texts, names, times, numbers, JSON. `check_` raises `UsageError`, `clean_` repairs."""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from mahavishnu.base.errors import NotFound, UsageError

MAX_METADATA_BYTES = 65_536
MAX_LIMIT = 1_000
MAX_OFFSET = 2**63 - 1
MAX_NAME_LENGTH = 200
MAX_NESTING = 100  # of JSON; PostgreSQL's own limit lies in its stack

_JSON_HINT = "Use texts, finite numbers, booleans, null, lists, and objects with texts for keys."


def check_name(name: str, *, what: str) -> None:
    """Refuse a name that is no text, empty, longer than its column, or has several lines."""
    check_length(name, what=what, at_most=MAX_NAME_LENGTH)
    if name.splitlines() != [name]:
        raise UsageError(
            f"The {what} holds a line break.", hint="Write it in one line.", code="input.line_break"
        )


def check_length(text: str, *, what: str, at_most: int) -> None:
    """Refuse what is no text, empty or longer than its column."""
    check_text(text, what=what)
    if not 0 < len(text) <= at_most:
        raise UsageError(
            f"{what} needs 1 to {at_most} characters, not {len(text):,}.",
            hint="Shorten it." if text else "Give it a value, or leave it out where it may be.",
            code="input.length",
        )


def clean_text(text: str, *, at_most: int | None = None) -> str:
    """Return a text without what PostgreSQL cannot keep, cut to so many bytes."""
    encoded = text.replace("\0", "").encode("utf-8", "replace")
    return encoded[:at_most].decode("utf-8", "ignore")


def clean_name(name: str | None) -> str | None:
    """Return a name as a column takes it; None for an empty one."""
    return clean_text(" ".join(str(name or "").splitlines()))[:MAX_NAME_LENGTH] or None


def check_moment(moment: datetime | None, *, what: str) -> None:
    """Refuse a time without a zone, which no two machines read alike; None passes."""
    if moment is None:
        return
    if not isinstance(moment, datetime):
        raise wrong_type(what, "a datetime", moment)
    if moment.utcoffset() is None:
        raise UsageError(
            f"{what} has no time zone.", hint="Pass an aware datetime.", code="input.time"
        )
    try:
        moment.astimezone(UTC)
    except OverflowError as error:
        raise UsageError(
            f"{what} is out of range.", hint="Times go from year 1 to 9999.", code="input.time"
        ) from error


def check_number(value: float, *, what: str) -> None:
    """Refuse what is no number, or too large for eight bytes."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise wrong_type(what, "a number", value)
    try:
        float(value)
    except OverflowError as error:
        raise UsageError(
            f"The {what} is out of range.", hint="Choose a larger unit.", code="input.value"
        ) from error


def check_limit(limit: int) -> None:
    """Refuse a number of rows that is too small, or too large for one answer."""
    if not isinstance(limit, int) or not 1 <= limit <= MAX_LIMIT:
        raise UsageError(
            f"limit must be 1 to {MAX_LIMIT}.",
            hint="Get more by pages, or narrow what is asked for.",
            code="input.limit",
        )


def check_offset(offset: int) -> None:
    """Refuse a negative number of rows to pass over."""
    if not isinstance(offset, int) or not 0 <= offset <= MAX_OFFSET:
        raise UsageError(
            f"offset must be 0 to {MAX_OFFSET:,}.",
            hint="The first page is at 0, the next one at the limit.",
            code="input.offset",
        )


def check_text(text: str, *, what: str) -> None:
    """Refuse what is no text, and characters that UTF-8 or PostgreSQL cannot hold, with their place."""
    if not isinstance(text, str):
        raise wrong_type(what, "text", text)
    if "\x00" in text:
        raise UsageError(
            f"The {what} holds a NUL byte at character {text.index(chr(0))}.",
            hint="Is it a binary file? Only text can be stored.",
            code="input.nul",
        )
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UsageError(
            f"The {what} is not valid Unicode at character {error.start}.",
            hint="Re-encode it as UTF-8.",
            code="input.encoding",
        ) from error


def check_metadata(
    metadata: Mapping[str, Any], *, what: str = "metadata", at_most: int = MAX_METADATA_BYTES
) -> None:
    """Refuse a JSON object that would not come back as it is, or has more than `at_most` bytes."""
    if not isinstance(metadata, dict):
        raise UsageError(
            f"The {what} is not a JSON object.",
            hint="Pass a dict with texts for keys.",
            code="input.metadata",
        )
    _check_values(metadata, what, MAX_NESTING)
    try:
        encoded = msgspec.json.encode(metadata)
    except (TypeError, ValueError, UnicodeEncodeError) as error:
        raise UsageError(
            f"The {what} cannot be written as JSON.", hint=_JSON_HINT, code="input.metadata"
        ) from error
    if len(encoded) > at_most:
        raise UsageError(
            f"The {what} has {len(encoded):,} bytes; at most {at_most:,} are kept.",
            hint="Keep long texts as memories of their own, and refer to them.",
            code="input.metadata",
        )


def _check_values(value: Any, what: str, levels: int) -> None:
    """Refuse what JSON, or PostgreSQL's, would lose or change inside metadata."""
    problem = None
    if isinstance(value, str):
        if "\x00" in value:
            raise UsageError(
                f"The {what} holds a NUL character.", hint="Leave it out.", code="input.nul"
            )
    elif isinstance(value, float):
        problem = None if math.isfinite(value) else "a number that JSON lacks"
    elif not isinstance(value, dict | list | tuple | int | None):
        problem = f"a {type(value).__name__}"
    elif levels == 0 and isinstance(value, dict | list | tuple):
        problem = f"more than {MAX_NESTING} levels"
    elif isinstance(value, dict) and not all(isinstance(key, str) for key in value):
        problem = "a key that is no text"
    if problem is not None:
        raise UsageError(f"The {what} holds {problem}.", hint=_JSON_HINT, code="input.metadata")
    if isinstance(value, dict | list | tuple):
        for inner in (*value, *value.values()) if isinstance(value, dict) else value:
            _check_values(inner, what, levels - 1)


def wrong_type(what: str, wanted: str, value: object) -> UsageError:
    """Return the error for a value of another type than the `wanted` one."""
    return UsageError(
        f"The {what} must be {wanted}, not {type(value).__name__}.",
        hint=f"Pass {wanted}, or convert it first.",
        code="input.wrong_type",
    )


def unknown_value(what: str, value: str, known: Sequence[str]) -> UsageError:
    """Return the error for a word that is not in a closed list."""
    return UsageError(
        f"Unknown {what}: {value!r:.120}.",
        hint=f"Known are: {', '.join(known)}.",
        code=f"input.{what.replace(' ', '_')}",
    )


def no_memory(reference: str) -> NotFound:
    """Return the error for an id that leads nowhere."""
    return NotFound(
        f"There is no memory {reference}.",
        hint="List them with: mahavishnu memory list",
        code="memory.not_found",
    )
