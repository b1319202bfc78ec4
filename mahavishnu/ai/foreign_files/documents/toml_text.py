"""
TOML as text with positions: where headers, pairs, and the items inside a value stand.

What is valid is for the standard library's parser to say, before and after each change; here a valid
text is only cut into its statements.
"""

import re
import tomllib
from dataclasses import dataclass

from mahavishnu.ai.foreign_files.documents.port import KeyPath, decode, torn, unreadable
from mahavishnu.base.errors import Corrupt

_BLANK = re.compile(r"[ \t\r]*+")
_TRIVIA = re.compile(r"(?:[ \t\r\n]|#[^\n]*+)*+")
_KEY = re.compile(r'[A-Za-z0-9_-]++|"(?:[^"\\\n]|\\.)*+"|\'[^\'\n]*+\'')
_STRING = re.compile(
    r'"""(?:[^"\\]|\\.|"{1,2}(?!"))*+"{3,5}'
    r"|'''(?:[^']|'{1,2}(?!'))*+'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*+"'
    r"|'[^'\n]*+'",
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]}#\r\n]*+")
_PLACE = re.compile(r"\(at line (\d+), column (\d+)\)$")


@dataclass(frozen=True)
class Header:
    """`[a.b]` or, for an element of a list, `[[a.b]]`; its whole line from `start` to `end`."""

    path: KeyPath
    start: int
    end: int


@dataclass(frozen=True)
class Pair:
    """`key = value`; `path` from the root on, `section` that of its header, `start` to `end` its lines."""

    path: KeyPath
    section: KeyPath
    start: int
    key: int
    value: int
    value_end: int
    end: int


@dataclass(frozen=True)
class TomlEntry:
    """A pair of an inline table, or an element of a list (then `path` is empty)."""

    path: KeyPath
    lead: int
    start: int
    value: int
    end: int


def read_tables(text: str) -> dict[str, object]:
    """Return what a text says, or raise Corrupt with line and column."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _explain(text, error) from error
    except RecursionError as error:
        raise unreadable("it is nested too deeply", text, 0) from error


def read_strictly(content: bytes) -> str:
    """Return the text of a TOML file."""
    text = decode(content)
    read_tables(text)
    return text


def _explain(text: str, error: tomllib.TOMLDecodeError) -> Corrupt:
    # Before Python 3.14 the position is nowhere but in the message.
    place = _PLACE.search(str(error))
    if place is None:
        return torn(text, len(text))
    line, column = int(place[1]), int(place[2])
    position = sum(map(len, text.splitlines(keepends=True)[: line - 1])) + column - 1
    return unreadable(f"this is not TOML ({_PLACE.sub('', str(error)).strip()})", text, position)


def read_statements(text: str) -> list[Header | Pair]:
    """Return headers and pairs of a valid text, in order."""
    found: list[Header | Pair] = []
    section: KeyPath = ()
    position = _skip(_TRIVIA, text, 0)
    while position < len(text):
        start = text.rfind("\n", 0, position) + 1
        if text[position] == "[":
            brackets = 2 if text.startswith("[[", position) else 1
            section, after = _read_key(text, position + brackets)
            end = _line_end(text, after)
            found.append(Header(section, start, end))
        else:
            key, after = _read_key(text, position)
            value = _skip(_BLANK, text, after + 1)
            value_end = _skip_value(text, value)
            end = _line_end(text, value_end)
            found.append(Pair(section + key, section, start, position, value, value_end, end))
        position = _skip(_TRIVIA, text, end)
    return found


def read_entries(text: str, start: int) -> tuple[list[TomlEntry], int]:
    """Return the items of the inline table or list at `start`, and where its bracket closes."""
    found: list[TomlEntry] = []
    lead = start + 1
    position = _skip(_TRIVIA, text, lead)
    while text[position] not in "]}":
        begin = position
        path: KeyPath = ()
        if text[start] == "{":
            path, position = _read_key(text, position)
            position = _skip(_BLANK, text, position + 1)
        end = _skip_value(text, position)
        found.append(TomlEntry(path, lead, begin, position, end))
        position = _skip(_TRIVIA, text, end)
        if text[position] == ",":
            lead = position + 1
            position = _skip(_TRIVIA, text, lead)
    return found, position


def _read_key(text: str, position: int) -> tuple[KeyPath, int]:
    """Return a dotted key, and where what follows it stands: `=` or `]`."""
    keys: list[str] = []
    while True:
        word = _KEY.match(text, _skip(_BLANK, text, position))
        assert word is not None
        quoted = word[0][0] in "\"'"
        keys.append(str(tomllib.loads(f"k = {word[0]}")["k"]) if quoted else word[0])
        position = _skip(_BLANK, text, word.end())
        if text[position] != ".":
            return tuple(keys), position
        position += 1


def _skip_value(text: str, position: int) -> int:
    if text[position] in "\"'":
        return _skip(_STRING, text, position)
    if text[position] in "[{":
        return read_entries(text, position)[1] + 1
    found = _SCALAR.match(text, position)
    assert found is not None
    return position + len(found[0].rstrip(" \t"))


def _skip(pattern: re.Pattern[str], text: str, position: int) -> int:
    found = pattern.match(text, position)
    assert found is not None
    return found.end()


def _line_end(text: str, position: int) -> int:
    end = text.find("\n", position)
    return len(text) if end < 0 else end + 1
