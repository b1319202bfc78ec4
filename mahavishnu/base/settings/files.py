"""
Read one settings file: a bounded, regular file of YAML in which no key stands twice.

What the keys mean is `sources`'s business.
"""

import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from mahavishnu.base.errors import Corrupt, Forbidden, MahavishnuError

MAX_FILE_BYTES = 1024 * 1024
MAX_KEYS = 1_000  # aliases of aliases can stand for any number

UNCHANGED = "Nothing was changed; correct the file."


def read_settings(path: Path) -> dict[str, Any]:
    """
    Return a file's values by dotted key; an absent file has none.

    Raises:
        Corrupt: `settings.unparsable`, with the line where there is one.
        Forbidden: `settings.unreadable`.
    """
    try:
        text = read_regular(path).decode("utf-8")
    except FileNotFoundError:
        return {}
    except UnicodeDecodeError as error:
        raise _unparsable(f"{path} is not a UTF-8 text file.") from error
    try:
        content = _yaml().parse_yaml(text)
        if content is None:
            return {}
        if not isinstance(content, dict):
            raise _unparsable(f"{path} does not hold a mapping of settings.")
        return _collect(path, content)
    except ValueError as error:
        raise _unparsable(f"{path} is {error}.") from error
    except RecursionError as error:
        raise _unparsable(f"{path} is nested too deeply.") from error


def _yaml() -> ModuleType:
    """Return our reader of YAML: it takes a tenth of a command's time, and most homes have no settings file."""
    from mahavishnu.base.settings import yaml_text  # noqa: PLC0415 - slow

    return yaml_text


def find_names(origin: str, key: str) -> tuple[tuple[str, ...], int] | None:
    """Return what `find_key` finds in a file; None also where `origin` is no file that can be read."""
    path = Path(origin)
    if not path.is_absolute():
        return None
    with suppress(MahavishnuError, OSError, UnicodeDecodeError):
        found: tuple[tuple[str, ...], int] | None = _yaml().find_key(
            read_regular(path).decode("utf-8"), key
        )
        return found
    return None


def place_of(origin: str, *keys: str) -> str:
    """Return a source of settings with the line of the first of these keys that it has, `PATH:LINE` for a file."""
    lines = (found[1] for key in keys if (found := find_names(origin, key)))
    return next((f"{origin}:{line}" for line in lines), origin)


def read_regular(path: Path) -> bytes:
    """
    Return the content of a regular file; a pipe or a device could make the reader wait for ever.

    Raises:
        FileNotFoundError: it is absent.
        Corrupt: `settings.unparsable`, where it is something else, or beyond all measure.
        Forbidden: `settings.unreadable`.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise _unparsable(f"{path} is not a regular file.", hint="Put a text file there.")
        with path.open("rb") as stream:
            content = stream.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Forbidden(
            f"{path} cannot be read ({error.strerror}).",
            hint="Check the owner and the rights of the file and the folders above it.",
            code="settings.unreadable",
        ) from error
    if len(content) > MAX_FILE_BYTES:
        raise _unparsable(f"{path} is longer than {MAX_FILE_BYTES:,} bytes.")
    return content


def _collect(path: Path, content: Mapping[Any, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in _flatten(content, ""):
        if key in found:  # once nested, once with dots
            raise _unparsable(f"{path} gives {key!r} twice.")
        if len(found) == MAX_KEYS:
            raise _unparsable(f"{path} holds more than {MAX_KEYS:,} settings.")
        found[key] = value
    return found


def _flatten(mapping: Mapping[Any, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in mapping.items():
        key = f"{prefix}{name}"
        if isinstance(value, dict) and value:
            yield from _flatten(value, f"{key}.")
        else:
            yield key, value


def _unparsable(message: str, *, hint: str = UNCHANGED) -> Corrupt:
    return Corrupt(message, hint=hint, code="settings.unparsable")
