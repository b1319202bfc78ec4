"""
What of other programs' settings goes into the journal: no key, but a mark by which one is known again.

A mark is made with the salt of its entry; equal values have equal marks there, and nothing leads back.
"""

import hashlib
import hmac
import re
from collections.abc import Callable

from mahavishnu.ai.clients.delivery import NO_KEY
from mahavishnu.ai.foreign_files.documents import ABSENT, Absent, KeyPath, Value, same_value
from mahavishnu.ai.secrets.key_shapes import find_keys, prints_key
from mahavishnu.base.masking import MASK

type IsSecret = Callable[[KeyPath], bool]

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+")
_KEY_WORDS = frozenset(
    "key apikey token secret password passphrase authorization bearer cookie".split()
)
_NO_KEY_WORDS = frozenset("env helper var variable file path ttl ms max count limit".split())
_MARK = re.compile(r"\*\*\* [0-9a-f]{32}")


def redact(value: Value | Absent, path: KeyPath, is_secret: IsSecret, salt: str) -> Value | Absent:
    """Return the value with every key in it replaced by its mark; deterministic for one salt."""
    if isinstance(value, str):
        return mark_of(value, salt) if holds_key(value, path, is_secret) else value
    if isinstance(value, dict):
        inside = _inside(value, is_secret)
        members = {name: redact(each, (*path, name), inside, salt) for name, each in value.items()}
        return {name: each for name, each in members.items() if each is not ABSENT}
    if isinstance(value, list):
        elements = [redact(each, path, is_secret, salt) for each in value]
        return [each for each in elements if each is not ABSENT]
    if is_secret(path) and value is not ABSENT and value is not None:
        return mark_of(repr(value), salt)
    return value


def holds_key(text: str, path: KeyPath, is_secret: IsSecret) -> bool:
    """Tell whether a text is a key, or has one in it."""
    if text in ("", NO_KEY):
        return False
    if any(is_secret(path[:length]) for length in range(1, len(path) + 1)):
        return True
    if _is_name(path):
        return False
    return _names_key(path) or prints_key(text) or bool(find_keys(text))


def _names_key(path: KeyPath) -> bool:
    """Tell whether a member is one for a key by its name, as `apiKey` is; `envKey` names a variable."""
    words = {word.lower() for word in _WORD.findall(path[-1])} if path else set()
    return bool(words & _KEY_WORDS) and not words & _NO_KEY_WORDS


def _is_name(path: KeyPath) -> bool:
    """Tell whether a model is named there: such a name may look like anything, and is no key."""
    name = path[-1].lower() if path else ""
    return name in ("model", "name", "id") or name.endswith("_model")


def has_key(value: Value | Absent, path: KeyPath, is_secret: IsSecret) -> bool:
    """Tell whether anything of the value would be marked."""
    return not same_value(value, redact(value, path, is_secret, ""))


def keys_in(value: Value | Absent, path: KeyPath, is_secret: IsSecret) -> list[str]:
    """Return the keys in a value."""
    if isinstance(value, dict):
        inside = _inside(value, is_secret)
        inner = (keys_in(each, (*path, name), inside) for name, each in value.items())
        return [key for keys in inner for key in keys]
    if isinstance(value, list):
        return [key for each in value for key in keys_in(each, path, is_secret)]
    if isinstance(value, str) and holds_key(value, path, is_secret):
        return [value]
    return []


def is_marked(value: Value | Absent) -> bool:
    """Tell whether a recorded value holds a mark."""
    return bool(marks_in(value))


def marks_in(value: Value | Absent) -> frozenset[str]:
    """Return the marks in a recorded value."""
    if isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        return frozenset().union(*map(marks_in, inner))
    return frozenset({value} if isinstance(value, str) and _MARK.fullmatch(value) else ())


def unmark(value: Value, salt: str, keys: list[str], without: Value) -> tuple[Value, bool]:
    """
    Return a recorded value with its keys, of those that are given, and whether all were among them.

    For one that is not, `without` stands.
    """
    if isinstance(value, dict):
        pairs = {name: unmark(each, salt, keys, without) for name, each in value.items()}
        return {name: each for name, (each, _) in pairs.items()}, all(
            whole for _, whole in pairs.values()
        )
    if isinstance(value, list):
        elements = [unmark(each, salt, keys, without) for each in value]
        return [each for each, _ in elements], all(whole for _, whole in elements)
    if not isinstance(value, str) or not is_marked(value):
        return value, True
    found = next((key for key in keys if mark_of(key, salt) == value), None)
    return (without, False) if found is None else (found, True)


def shown(value: Value | Absent, path: KeyPath, is_secret: IsSecret) -> Value | Absent:
    """Return the value as it may be printed."""
    return shown_record(redact(value, path, is_secret, ""))


def _inside(value: dict[str, Value], is_secret: IsSecret) -> IsSecret:
    """Return what is secret below an object: of a command that prints a key, every word."""
    command, words = value.get("command"), value.get("args")
    if isinstance(command, str) and isinstance(words, list):
        line = " ".join([command, *(each for each in words if isinstance(each, str))])
        if prints_key(line) or find_keys(line):
            return lambda _: True
    return is_secret


def shown_record(value: Value | Absent) -> Value | Absent:
    """Return a value of the journal as it may be printed."""
    if isinstance(value, dict):
        return {name: shown_record(each) for name, each in value.items()}  # type: ignore[misc]
    if isinstance(value, list):
        return [shown_record(each) for each in value]  # type: ignore[misc]
    return MASK if is_marked(value) else value


def mark_of(text: str, salt: str) -> str:
    """Return the mark of a key."""
    digest = hmac.new(salt.encode(), text.encode("utf-8", "surrogatepass"), hashlib.sha256)
    return f"{MASK} {digest.hexdigest()[:32]}"
