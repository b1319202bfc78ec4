"""Parse YAML strictly: values alone, and no key twice; and find the line of a key."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import yaml

_MERGE = "tag:yaml.org,2002:merge"


def parse_yaml(text: str) -> Any:
    """Return the value that a text is; raises `ValueError`, saying what it is instead, and where."""
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - it is a SafeLoader
    except yaml.MarkedYAMLError as error:
        place = error.problem_mark
        where = f" at line {place.line + 1}, column {place.column + 1}" if place else ""
        raise ValueError(f"not valid YAML{where}: {error.problem}") from error
    except yaml.YAMLError as error:  # a character that YAML does not allow
        raise ValueError("not valid YAML: it holds control characters") from error


def find_key(text: str, key: str) -> tuple[tuple[str, ...], int] | None:
    """Return the names that lead to a dotted key, its own included, and its line; None where it is not there."""
    try:
        return next(_walk(_compose(text), key), None)
    except yaml.YAMLError:
        return None


@lru_cache(maxsize=1)  # where one key of a file is wrong, others are
def _compose(text: str) -> yaml.Node | None:
    return yaml.compose(text, _Loader)


def _walk(
    node: yaml.Node | None, key: str, names: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], int]]:
    pairs = node.value if isinstance(node, yaml.MappingNode) else ()
    for name, value in sorted(pairs, key=lambda pair: bool(pair[0].tag == _MERGE)):
        if name.tag == _MERGE:
            for each in value.value if isinstance(value, yaml.SequenceNode) else (value,):
                yield from _walk(each, key, names)
        elif name.value == key:
            yield (*names, key), name.start_mark.line + 1
        elif isinstance(name.value, str) and key.startswith(f"{name.value}."):
            yield from _walk(value, key[len(name.value) + 1 :], (*names, name.value))


class _Loader(yaml.SafeLoader):
    """
    The safe loader, stricter: of two equal keys it would take the last silently.

    A value that its type does not have (`2026-13-01`, `!!bool x`) becomes an error with a line, too.
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
