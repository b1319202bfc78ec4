"""Settings of a client as they may be shown: what is, or looks like, a key is hidden."""

import re
from typing import Any

from mahavishnu.ai.secrets.key_shapes import find_keys
from mahavishnu.base.masking import MASK

# In the name of a member, as words between other words: apiKey, GITHUB_TOKEN, X-Auth.
_WORDS = frozenset(
    "key apikey token secret password passwd passphrase credential credentials auth authorization"
    " bearer cookie pat headers pass pwd secretkey apitoken accesstoken authtoken".split()
)
_HELPERS = frozenset(
    {"helper", "refresh", "variable", "var", "file", "path", "ttl", "ms", "approved"}
)
_SPLIT = re.compile(r"[^A-Za-z0-9]+|(?<=[a-z0-9])(?=[A-Z])")
_HARMLESS = re.compile(r"[\d.]*|true|false|on|off|yes|no", re.IGNORECASE)


def is_secret(name: str, value: Any) -> bool:
    """Tell whether a member of this name with this value is, or looks like, a key."""
    return bool(shown(name, value) != value)


def shown(name: str, value: Any) -> Any:
    """Return the value of a member with everything hidden that is, or looks like, a key."""
    if isinstance(value, dict):
        hides = _names_secret(name)
        return {key: shown(f"{name}.{key}" if hides else key, each) for key, each in value.items()}
    if isinstance(value, list):
        return [shown(name, each) for each in value]
    if not isinstance(value, str) or _HARMLESS.fullmatch(value):
        return value
    return MASK if _names_secret(name) else shown_text(value)


def shown_text(text: str) -> str:
    """Return a text, as of a command, with what looks like a key in it hidden."""
    for begin, end in reversed(find_keys(text)):
        text = f"{text[:begin]}{MASK}{text[end:]}"
    return text


def _names_secret(name: str) -> bool:
    words = {word.lower() for word in _SPLIT.split(name)}
    return bool(words & _WORDS) and not words & _HELPERS
