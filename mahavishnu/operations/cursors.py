"""Where a page of memories ended, as text that a caller hands back as it is."""

import base64
import binascii
import struct
from datetime import UTC, datetime, timedelta

from mahavishnu.base.errors import UsageError

_POSITION = struct.Struct("<qq")  # microseconds since 1970, number of the memory
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def write_cursor(occurred_at: datetime, memory_no: int) -> str:
    """Return the cursor behind a memory."""
    moment = (occurred_at - _EPOCH) // timedelta(microseconds=1)
    return base64.urlsafe_b64encode(_POSITION.pack(moment, memory_no)).decode().rstrip("=")


def read_cursor(cursor: str | None) -> tuple[datetime, int] | None:
    """Return when and which memory the page before ended with; raises `UsageError`."""
    if not cursor:
        return None
    try:
        packed = base64.b64decode(cursor + "==", altchars=b"-_", validate=True)
        moment, number = _POSITION.unpack(packed)
        return _EPOCH + timedelta(microseconds=moment), number
    except (binascii.Error, ValueError, struct.error, OverflowError) as error:
        raise UsageError(
            "The cursor is not one of ours.",
            hint="Pass next_cursor of the previous page unchanged, or leave it out.",
            code="input.cursor",
        ) from error
