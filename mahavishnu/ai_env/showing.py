"""Settings of a client as they may be shown: what is, or looks like, a key is hidden."""

import re
from typing import Any

from mahavishnu.masking import MASK, mask_url

# In the name of a member, as words between other words: apiKey, GITHUB_TOKEN, X-Auth.
_WORDS = frozenset(
    "key apikey token secret password passwd passphrase credential credentials auth authorization"
    " bearer cookie pat headers".split()
)
_HELPERS = frozenset(
    {"helper", "refresh", "variable", "var", "file", "path", "ttl", "ms", "approved"}
)
_SPLIT = re.compile(r"[^A-Za-z0-9]+|(?<=[a-z0-9])(?=[A-Z])")
_SHAPES = re.compile(
    r"\b(?:sk|pk|rk)-[\w-]{8,}|\bgh[opusr]_\w{8,}|\bgithub_pat_\w{8,}|\bglpat-[\w-]{8,}|\bxox[a-z]-[\w-]{8,}"
    r"|\bAKIA[A-Z0-9]{12,}|\bAIza[\w-]{20,}|\bhf_\w{8,}|\beyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]*)?"
    r"|(?i:\bbearer\s+)[^\s'\"]{8,}"
)
# Long, and of letters and digits without a separator that names and paths have.
_RANDOM = re.compile(
    r"(?<![\w/.+=-])(?=[A-Za-z_-]*\d)(?=[\d_-]*[A-Za-z])[A-Za-z0-9_-]{32,}(?![\w/.+=-])"
)
_URL = re.compile(r"[a-z][a-z0-9+.-]*://[^\s'\"]+", re.IGNORECASE)
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
    hidden = _URL.sub(lambda found: _mask_address(found[0]), text)
    return _RANDOM.sub(MASK, _SHAPES.sub(MASK, hidden))


def _mask_address(url: str) -> str:
    return mask_url(url) if "@" in url or "?" in url else url


def _names_secret(name: str) -> bool:
    words = {word.lower() for word in _SPLIT.split(name)}
    return bool(words & _WORDS) and not words & _HELPERS
