"""
Read one settings file: a bounded, regular file of YAML in which no key stands twice.

What the keys mean is `sources`'s business.
"""

import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from mahavishnu.errors import Corrupt, Forbidden

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
        content = yaml.load(text, _Loader)  # noqa: S506 - it is a SafeLoader
        if content is None:
            return {}
        if not isinstance(content, dict):
            raise _unparsable(f"{path} does not hold a mapping of settings.")
        return _collect(path, content)
    except RecursionError as error:
        raise _unparsable(f"{path} is nested too deeply.") from error
    except yaml.MarkedYAMLError as error:
        place = error.problem_mark
        where = f" at line {place.line + 1}, column {place.column + 1}" if place else ""
        raise _unparsable(f"{path} is not valid YAML{where}: {error.problem}.") from error
    except yaml.YAMLError as error:  # a character that YAML does not allow
        raise _unparsable(f"{path} is not valid YAML: it holds control characters.") from error


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


class _Loader(yaml.SafeLoader):
    """
    The safe loader, stricter: of two equal keys it would take the last without a word.

    A value that is none of its type's (`2026-13-01`, `!!bool x`) becomes an error with a line, too.
    """

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        first: dict[str, yaml.Mark] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in first:
                raise yaml.composer.ComposerError(
                    problem=f"the key {key.value!r} is there twice,"
                    f" first at line {first[key.value].line + 1}",
                    problem_mark=key.start_mark,
                )
            first[key.value] = key.start_mark
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError) as error:  # what its converters let out
            raise yaml.constructor.ConstructorError(
                problem="the value is of another type than it seems", problem_mark=node.start_mark
            ) from error


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
