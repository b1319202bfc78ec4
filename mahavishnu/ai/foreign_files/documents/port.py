"""The port `Document`, its values, and the errors of a file that cannot be read."""

from enum import Enum
from typing import ClassVar, Final, Protocol, Self

from mahavishnu.base.errors import Corrupt, UsageError

MAX_DEPTH = 100  # of a value that is set; files may nest deeper

type KeyPath = tuple[str, ...]
type Value = bool | int | float | str | list[Value] | dict[str, Value] | None


class Absent(Enum):
    """The type of `ABSENT`: there is no such member, which is not the same as null."""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT


class Document(Protocol):
    """
    A settings file as a value: each change gives another document, and every byte that does not
    belong to the changed member is the same in both.

    A key path names a member from the root on, through objects (tables); in JSON also through the
    elements that a list has, by their place. Changes that change nothing return an equal document.

    Raises:
        Corrupt: from `parse`, with line and column; `document.torn` where the text ends too early,
            so that it may be whole a moment later.
        UsageError: `document.not_an_object`, a parent on the path is something else, and
            `document.value`, for what the format cannot hold.
    """

    ends_visibly: ClassVar[bool]  # whether no part of a text can be taken for the whole

    @classmethod
    def parse(cls, content: bytes) -> Self:
        """Read strictly; only blanks are read as an empty document."""
        ...

    @property
    def content(self) -> bytes:
        """The whole text."""
        ...

    def get(self, path: KeyPath) -> Value | Absent:
        """Return the value of the member."""
        ...

    def set(self, path: KeyPath, value: Value) -> Self:
        """Give the member this value; a new one goes to the end, missing parents are made."""
        ...

    def remove(self, path: KeyPath, *, made: KeyPath | None = None) -> Self:
        """Take the member out, and parents that this leaves empty, up to `made` and no further."""
        ...

    def include(self, path: KeyPath, element: Value) -> Self:
        """Put `element` at the end of the list, unless one like it is there; a missing list is made."""
        ...

    def exclude(self, path: KeyPath, element: Value, *, made: KeyPath | None = None) -> Self:
        """Take elements like this out of the list, and what that leaves empty, up to `made`."""
        ...


def plain(value: Value | Absent) -> Value:
    """Return the value for JSON, where what is absent is null."""
    return None if value is ABSENT else value


def same_value(one: object, other: object, *, exact: bool = False) -> bool:
    """
    Compare as a reader of the file would: true is not 1, the order of keys is free.

    1.0 is 1, as for JavaScript, unless `exact`.
    """
    if isinstance(one, dict) and isinstance(other, dict):
        keys = one.keys() == other.keys()
        return keys and all(same_value(one[key], other[key], exact=exact) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        pairs = zip(one, other, strict=False)
        return len(one) == len(other) and all(same_value(*pair, exact=exact) for pair in pairs)
    typed = exact or isinstance(one, bool) or isinstance(other, bool)
    if typed and type(one) is not type(other):
        return False
    both_nan = one != one and other != other
    return one == other or both_nan


def check_value(value: object, *, depth: int = 0) -> None:
    """Refuse what no settings file can hold."""
    if depth > MAX_DEPTH:
        raise bad_value("it is nested too deeply")
    if isinstance(value, list):
        for element in value:
            check_value(element, depth=depth + 1)
    elif isinstance(value, dict):
        for key, member in value.items():
            if not isinstance(key, str):
                raise bad_value("a key is not a text")
            check_value(member, depth=depth + 1)
    elif isinstance(value, float) and (value != value or value in (float("inf"), -float("inf"))):
        raise bad_value("it is not a finite number")
    elif not isinstance(value, str | int | float | None):
        raise bad_value(f"it is a {type(value).__name__}")


def check_path(path: KeyPath) -> None:
    """Refuse the path to nothing: the root is never ours to set."""
    if not path or not all(isinstance(key, str) for key in path):
        raise UsageError(
            f"{path!r} does not name a member of a settings file.",
            hint="Give the keys from the root on, as in env.NAME.",
            code="document.path",
        )


def bad_value(why: str) -> UsageError:
    """Return the error for a value that cannot be written; the value itself is not told."""
    return UsageError(
        f"The value cannot be written to a settings file: {why}.", code="document.value"
    )


def not_an_object(path: KeyPath, text: str, position: int) -> UsageError:
    """Return the error for a path through, or an element for, what is of another kind."""
    return UsageError(
        f"{_where(text, position)}: {show_path(path)} has a value of another type than the change needs.",
        hint="Correct it in an editor; the file was left as it is.",
        code="document.not_an_object",
    )


def unreadable(why: str, text: str, position: int) -> Corrupt:
    """Return the error for a text that is refused."""
    return Corrupt(
        f"{_where(text, position)}: {why}.",
        hint="Correct it in an editor; the file was left as it is.",
        code="document.unreadable",
    )


def torn(text: str, position: int) -> Corrupt:
    """Return the error for a text that ends before it is complete."""
    return Corrupt(
        f"{_where(text, position)}: the file ends before it is complete.",
        hint="Close the program that writes it, or correct it in an editor; it was left as it is.",
        code="document.torn",
    )


def show_path(path: KeyPath) -> str:
    """Return the path for people."""
    return ".".join(path)[:200]


def _where(text: str, position: int) -> str:
    line = text.count("\n", 0, position) + 1
    return f"line {line}, column {position - text.rfind('\n', 0, position)}"


def decode(content: bytes) -> str:
    """Return the text of a settings file: UTF-8 without a byte order mark."""
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        before = content[: error.start].decode()
        if error.end == len(content) and error.reason == "unexpected end of data":
            raise torn(before, len(before)) from error
        raise unreadable("this is not UTF-8", before, len(before)) from error
    if text.startswith("\ufeff"):
        raise unreadable("the file begins with a byte order mark", text, 0)
    return text


def encode(text: str) -> bytes:
    """Return the bytes of a text that came from `decode`, with values that were checked."""
    return text.encode()


def newline_of(text: str) -> str:
    """Return how the first line ends; LF where there is but one line."""
    first = text.find("\n")
    return "\r\n" if first > 0 and text[first - 1] == "\r" else "\n"


def made_by(document: Document, path: KeyPath) -> KeyPath | None:
    """Return the outermost member that setting `path` would make; None where it is there."""
    prefixes = (path[:length] for length in range(1, len(path) + 1))
    return next((prefix for prefix in prefixes if document.get(prefix) is ABSENT), None)


def emptied(path: KeyPath, made: KeyPath | None) -> list[KeyPath]:
    """Return the parents of `path` that may go when they are empty, innermost first."""
    if made is None or path[: len(made)] != made:
        return []
    return [path[:length] for length in range(len(path) - 1, len(made) - 1, -1)]
