"""Ids: UUIDv7 made by the writer, and the short form that people see."""

import hashlib
import os
import re
import time
from datetime import UTC, datetime
from uuid import UUID

from mahavishnu.base.errors import UsageError

SHOWN_LENGTH = 8
_SUFFIX = re.compile(r"[0-9a-f]{4,32}")


def new_id() -> UUID:
    """Return a UUID version 7: 48 bits of milliseconds, 74 random bits. Source: RFC 9562, 5.7."""
    return _uuid7(time.time_ns() // 1_000_000, os.urandom(10))


def _uuid7(milliseconds: int, tail: bytes) -> UUID:
    value = (milliseconds & (2**48 - 1)) << 80 | int.from_bytes(tail)
    value = value & ~(0xF << 76) | 7 << 76
    value = value & ~(0x3 << 62) | 2 << 62
    return UUID(int=value)


def derive_id(moment: datetime, *parts: str) -> UUID:
    """Return the UUID version 7 of a moment whose random bits follow from `parts`: equal ones for equal parts."""
    digest = hashlib.sha256("\0".join((moment.astimezone(UTC).isoformat(), *parts)).encode())
    return _uuid7(max(0, int(moment.timestamp() * 1000)), digest.digest()[:10])


def shown(identifier: UUID) -> str:
    """Return the last 8 hex digits; the first ones are alike for ids made in the same minute."""
    return identifier.hex[-SHOWN_LENGTH:]


def bounded(name: str, *, at_most: int) -> str:
    """Return a name, with a digest in the place of what is beyond `at_most` characters."""
    if len(name) <= at_most:
        return name
    return f"{name[: at_most - 64]}{hashlib.sha256(name.encode()).hexdigest()}"


def parse_reference(text: str) -> UUID | str:
    """
    Read what a user typed for an id: a whole UUID, or the hex digits an id ends with (at least 4).

    Raises:
        UsageError: it is neither.
    """
    cleaned = text.strip().lower()
    try:
        return UUID(cleaned)
    except ValueError:
        pass
    digits = cleaned.replace("-", "")
    if _SUFFIX.fullmatch(digits):
        return digits
    raise UsageError(
        f"Not an id: {text!r:.120}.",
        hint="Give the 8 hex digits shown in lists, or the whole id.",
        code="input.id",
    )
