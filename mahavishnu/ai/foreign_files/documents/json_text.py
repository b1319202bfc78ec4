"""
JSON as text with positions: what is strictly valid, and where the items of an object or list stand.

Values are skipped by the standard library's decoder, in C; only what lies on a path is looked at
here.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NoReturn

from mahavishnu.ai.foreign_files.documents.port import decode, torn, unreadable
from mahavishnu.base.errors import Corrupt

BLANK = re.compile(r"[ \t\n\r]*+")
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+"|[{}\[\]]|[-+.\w]++')
# What a file may end in when it was cut inside a number, a word or an escape.
_BEGUN = re.compile(r"-|[.eE][-+]?|t|tr|tru|f|fa|fal|fals|n|nu|nul|\\?u?[0-9a-fA-F]{0,4}")
_CONSTANTS = ("NaN", "Infinity", "-Infinity")
_SKIP = json.JSONDecoder(parse_int=str, parse_float=str)


class _Refused(Exception):
    """What the standard library would accept; where it stands is looked for afterwards."""


@dataclass(frozen=True)
class Item:
    """
    A member of an object, or an element of a list (then `key` is None).

    Positions: `lead` after the bracket or comma before it, `start` of it, `colon` the end of its
    key, `value` and `end` of its value.
    """

    key: str | None
    lead: int
    start: int
    colon: int
    value: int
    end: int


@dataclass(frozen=True)
class Box:
    """An object or list: from its bracket at `start` to behind the closing one at `end`."""

    start: int
    items: tuple[Item, ...]
    end: int

    def find(self, key: str) -> Item | None:
        """Return the member of this key; of a list the element at this place, as in RFC 6901."""
        if self.items and self.items[0].key is None:
            place = int(key) if key.isascii() and key.isdecimal() else len(self.items)
            return self.items[place] if place < len(self.items) else None
        return next((item for item in self.items if item.key == key), None)


def read_strictly(content: bytes) -> str:
    """Return the text of a JSON object that every parser reads alike; raise Corrupt for any other."""
    text = decode(content)
    if not text.strip(" \t\r\n"):
        return "{}\n"
    try:
        root = _STRICT.decode(text)
    except json.JSONDecodeError as error:
        raise _explain(text, error) from error
    except _Refused as error:
        raise _locate(text) from error
    except RecursionError as error:
        raise unreadable("it is nested too deeply", text, 0) from error
    if not isinstance(root, dict):
        raise unreadable("the file does not hold an object", text, skip_blanks(text, 0))
    return text


def skip_blanks(text: str, position: int) -> int:
    """Return where the next character stands that is no blank."""
    found = BLANK.match(text, position)
    assert found is not None
    return found.end()


@lru_cache(maxsize=32)
def read_box(text: str, start: int) -> Box:
    """Return the items of the object or list at `start` of a valid text; asked often for the same."""
    items: list[Item] = []
    lead = start + 1
    keyed = text[start] == "{"
    position = skip_blanks(text, lead)
    while text[position] not in "}]":
        begin = colon = position
        key = None
        if keyed:
            key, colon = _SKIP.raw_decode(text, begin)
            position = skip_blanks(text, skip_blanks(text, colon) + 1)
        value = position
        end = _SKIP.raw_decode(text, value)[1]
        items.append(Item(key, lead, begin, colon, value, end))
        position = skip_blanks(text, end)
        if text[position] == ",":
            lead = position + 1
            position = skip_blanks(text, lead)
    return Box(start, tuple(items), position + 1)


def _no_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _Refused
    return members


def _no_constant(_: str) -> NoReturn:
    raise _Refused


_STRICT = json.JSONDecoder(
    object_pairs_hook=_no_duplicates, parse_constant=_no_constant, parse_int=str, parse_float=str
)


def _explain(text: str, error: json.JSONDecodeError) -> Corrupt:
    in_text = error.msg.startswith("Invalid control character")
    position = error.pos if in_text else skip_blanks(text, error.pos)
    if position == len(text) or error.msg.startswith("Unterminated string"):
        return torn(text, position)
    if text.startswith(("//", "/*", "#"), position):
        return unreadable("comments are not JSON", text, position)
    if error.msg.startswith("Illegal trailing comma"):
        return unreadable("a comma with nothing behind it is not JSON", text, error.pos)
    if _BEGUN.fullmatch(text, position):
        return torn(text, len(text))
    return unreadable(f"this is not JSON ({error.msg})", text, position)


def _locate(text: str) -> Corrupt:
    """Find the first duplicate key or constant that JSON does not have."""
    position, what = next(_faults(text))
    return unreadable(what, text, position)


def _faults(text: str) -> Iterator[tuple[int, str]]:
    seen: list[set[str]] = []
    for token in _TOKEN.finditer(text):
        word = token[0]
        if word in "{[":
            seen.append(set())
        elif word in "}]":
            seen.pop()
        elif word in _CONSTANTS:
            yield token.start(), f"{word} is not JSON"
        elif word[0] == '"' and text.startswith(":", skip_blanks(text, token.end())):
            key = json.loads(word)
            if key in seen[-1]:
                yield token.start(), f"the key {key[:80]!r} is there twice"
            seen[-1].add(key)
