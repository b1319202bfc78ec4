"""Whether the words by which a client asks for a key are those of the profile."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from mahavishnu.ai.bindings.store import Expected
from mahavishnu.ai.secrets.binding import origin_of
from mahavishnu.ai.secrets.helper import PROGRAM, Asked, read_words
from mahavishnu.base.errors import MahavishnuError

_ADDRESS = "ANTHROPIC_BASE_URL="


def asks_for(line: str, expected: Expected, client: str) -> bool:
    """Tell whether a line for a shell asks for the profile's key; without one, whether it asks for none."""
    if not line or not expected.key:
        return not line and not expected.key
    try:
        given = shlex.split(line)
    except ValueError:
        return False
    words = given[1:] if given and given[0].startswith(_ADDRESS) else given
    return bool(words) and are_for(words, expected, client)


def are_for(words: Sequence[str], expected: Expected, client: str) -> bool:
    """Tell whether a command of these words asks for the profile's key."""
    if Path(words[0]).name != PROGRAM:
        return False
    try:
        return is_for(read_words(words[1:]), expected, client)
    except MahavishnuError:
        return False


def is_for(asked: Asked, expected: Expected, client: str) -> bool:
    """Tell whether what is asked for is the profile's key, for its own endpoint."""
    return (
        bool(expected.key)
        and asked.client == client
        and str(asked.reference) == expected.key
        and origin_of(asked.bound) == origin_of(expected.url)
    )
