"""A text that is remembered, from an argument or from stdin."""

import sys

from mahavishnu.base.errors import UsageError
from mahavishnu.interfaces.cli.options import interruptible
from mahavishnu.memory.models import MAX_CONTENT_BYTES


def read_text(argument: str | None) -> str:
    """
    Return the text of an argument, or of stdin for `-` or where text is piped in.

    Raises:
        UsageError: there is none, it is too long, or it is not UTF-8.
    """
    if argument is not None and argument != "-":
        return argument
    if argument is None and sys.stdin.isatty():
        raise UsageError(
            "There is no text to remember.",
            hint='Give it as an argument, or pipe it in: echo "..." | mahavishnu memory store -',
            code="memory.empty",
        )
    with interruptible():
        content = sys.stdin.buffer.read(MAX_CONTENT_BYTES + 1)
    if len(content) > MAX_CONTENT_BYTES:
        raise UsageError(
            f"The text on stdin is longer than {MAX_CONTENT_BYTES:,} bytes.",
            hint="Split it, or import it as a document.",
            code="memory.too_large",
        )
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"The text on stdin is not UTF-8 (byte {error.start}).",
            hint="Convert it first, for example with iconv.",
            code="input.encoding",
        ) from error
