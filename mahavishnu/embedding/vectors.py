"""Check and normalise what a model or a server returned. Pure, standard library only."""

import math
from collections.abc import Sequence

from mahavishnu.base.errors import Conflict, Corrupt, UsageError
from mahavishnu.embedding.port import ModelIdentity, Vector


def normalize(values: Sequence[float | None], *, identity: ModelIdentity) -> Vector:
    """
    Return `values` scaled to L2 norm 1.

    None stands for a NaN that a server wrote as null. Raises `Corrupt` "embedding.bad_vector",
    `Conflict` "embedding.dimension_mismatch".
    """
    if len(values) != identity.dimensions:
        raise Conflict(
            f"{identity.name} gave a vector of {len(values)} dimensions, not of"
            f" {identity.dimensions}.",
            hint="The model behind this name is another one than it was; compare: mahavishnu model status",
            code="embedding.dimension_mismatch",
        )
    unit = scale_to_unit([math.nan if value is None else float(value) for value in values])
    if unit is None:
        raise Corrupt(
            f"{identity.name} gave a vector that is not a direction (NaN, infinite or all zeros).",
            hint="The text may trigger a fault of the model or of its GPU back end.",
            code="embedding.bad_vector",
        )
    return unit


def scale_to_unit(numbers: Sequence[float]) -> Vector | None:
    """Return `numbers` scaled to L2 norm 1, or None where they are no direction."""
    # hypot scales internally, so that huge or tiny components neither overflow nor vanish.
    length = math.hypot(*numbers)
    if not math.isfinite(length) or length == 0.0:
        return None
    return [number / length for number in numbers]


def reject_unusable(texts: Sequence[str]) -> None:
    """Raise `UsageError` for a text without a visible character or that is not valid Unicode."""
    for text in texts:
        if not text.strip():
            raise UsageError(
                "A text without a visible character cannot be embedded.",
                code="embedding.blank_text",
            )
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise UsageError(
                "A text with half a surrogate pair cannot be embedded.",
                hint="It was probably cut in the middle of a character.",
                code="embedding.not_unicode",
            ) from error


def too_long(identity: ModelIdentity, *, tokens: int | None = None) -> UsageError:
    """Build the error for a text beyond the window of the model."""
    size = f" of {tokens} tokens" if tokens is not None else ""
    return UsageError(
        f"A text{size} does not fit the window of {identity.name}"
        f" ({identity.window_tokens} tokens, prefix included); nothing was truncated.",
        hint="Split it into chunks first.",
        code="embedding.too_long",
    )
