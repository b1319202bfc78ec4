"""A vector as a caller writes it: JSON numbers, or base64 of 32-bit floats, which is read faster."""

import base64
import binascii
import struct
from typing import Annotated

from msgspec import Meta

from mahavishnu.base.errors import UsageError
from mahavishnu.database.vectors import MAX_DIMENSIONS

FLOAT_BYTES = 4
_MAX_BASE64 = -(-MAX_DIMENSIONS * FLOAT_BYTES // 3) * 4
type Numbers = Annotated[list[float], Meta(min_length=1, max_length=MAX_DIMENSIONS)]
type Base64 = Annotated[
    str,
    Meta(
        min_length=8, max_length=_MAX_BASE64, description="Base64 of little-endian 32-bit floats."
    ),
]
type VectorField = Annotated[
    Numbers | Base64 | None,
    Meta(
        description="A vector of your own, as numbers or as base64 of little-endian 32-bit floats; "
        "of the model in use, unless embedding_model says otherwise."
    ),
]


def read_vector(written: list[float] | str) -> list[float]:
    """Return the numbers; raises `UsageError` "input.vector" where a text is no base64 of floats."""
    if not isinstance(written, str):
        return written
    try:
        raw = base64.b64decode(written, validate=True)
        return list(struct.unpack(f"<{len(raw) // FLOAT_BYTES}f", raw))
    except (binascii.Error, ValueError, struct.error) as error:
        raise UsageError(
            "The embedding is no base64 of 32-bit floats.",
            hint="Encode 4 bytes a dimension, little-endian; or send a list of numbers.",
            code="input.vector",
        ) from error
