"""The names, types and meanings of all settings, read off their declaration; `*` is any one name."""

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, get_args, get_origin

import msgspec
from msgspec import inspect

from mahavishnu.base.settings.tree import Settings

# Why a setting is bounded where a user may well want more.
BOUNDS: dict[str, str] = {
    "postgresql.pool_size": "A PostgreSQL server accepts 100 connections by default, from all processes together, so "
    "one process may take at most half of them. 10 are enough for most: callers beyond the pool wait their turn.",
}


@cache
def setting_keys() -> tuple[str, ...]:
    """Return the dotted keys of all settings, in order."""
    return tuple(_keys(Settings, ""))


@cache
def section_keys() -> frozenset[str]:
    """Return the dotted keys of all groups of settings, of any depth."""
    return frozenset(
        key[:place] for key in setting_keys() for place, sign in enumerate(key) if sign == "."
    )


def find_setting(key: str, among: Iterable[str] | None = None) -> str | None:
    """Return the setting that a dotted key is one of, which may have a `*`; None where there is none."""
    known = setting_keys() if among is None else among
    return next((each for each in known if match_key(each, key) is not None), None)


def match_key(pattern: str, key: str) -> str | None:
    """Return the name that the one `*` of a pattern stands for in a key, "" without; else None."""
    wanted, parts = pattern.split("."), key.split(".")
    if len(wanted) != len(parts):
        return None
    pairs = list(zip(wanted, parts, strict=True))
    if any(one not in ("*", other) for one, other in pairs):
        return None
    return next((other for one, other in pairs if one == "*"), "")


def fits(setting: str, value: object) -> bool:
    """Tell whether a value can be that of a setting, whose name may have a `*`."""
    kind: Any = Settings
    *sections, last = setting.split(".")
    for name in sections:
        if name == "*":
            kind = get_args(kind)[1]
        else:
            kind = next(item.type for item in msgspec.structs.fields(kind) if item.name == name)
    try:
        msgspec.convert({last: value}, kind, strict=False)
    except msgspec.ValidationError:
        return False
    return True


def describe_settings() -> Iterator[tuple[str, str, Any, str]]:
    """Yield (key, type, default, meaning) of every setting, in order, for the reference."""
    yield from _describe(Settings, "")


def _keys(kind: type[msgspec.Struct], prefix: str) -> Iterator[str]:
    for item in msgspec.structs.fields(kind):
        if isinstance(item.type, type) and issubclass(item.type, msgspec.Struct):
            yield from _keys(item.type, f"{prefix}{item.name}.")
        elif get_origin(item.type) is dict:
            yield from _keys(get_args(item.type)[1], f"{prefix}{item.name}.*.")
        else:
            yield f"{prefix}{item.name}"


def _describe(kind: type[msgspec.Struct], prefix: str) -> Iterator[tuple[str, str, Any, str]]:
    info = inspect.type_info(kind)
    assert isinstance(info, inspect.StructType)
    for item in info.fields:
        key = f"{prefix}{item.name}"
        inner, description = item.type, ""
        if isinstance(inner, inspect.Metadata):
            description = (inner.extra_json_schema or {}).get("description", "")
            inner = inner.type
        if isinstance(inner, inspect.StructType):
            yield from _describe(inner.cls, f"{key}.")
        elif isinstance(inner, inspect.DictType):
            assert isinstance(inner.value_type, inspect.StructType)
            yield from _describe(inner.value_type.cls, f"{key}.*.")
        else:
            yield key, _name_type(inner), item.default, description


def _name_type(kind: Any) -> str:
    if isinstance(kind, inspect.UnionType):
        return " or ".join(_name_type(part) for part in kind.types)
    if isinstance(kind, inspect.LiteralType):
        return ", ".join(f"`{value}`" for value in kind.values)
    if isinstance(kind, inspect.VarTupleType):
        return "list of text"
    if pattern := getattr(kind, "pattern", None):  # those of `tree.Age` and `tree.FilePath`
        if "https?" in pattern:
            return "address, http:// or https://"
        return (
            "hours, days or weeks: 12h, 90d, 8w"
            if "hdw" in pattern
            else "path, absolute or from ~/"
        )
    names: dict[type[Any], str] = {
        inspect.BoolType: "true or false",
        inspect.IntType: "whole number",
        inspect.FloatType: "number",
        inspect.StrType: "text",
        inspect.NoneType: "nothing",
    }
    bounds = [
        f"{sign} {bound}"
        for sign, name in (("at least", "ge"), ("above", "gt"), ("at most", "le"))
        if (bound := getattr(kind, name, None)) is not None
    ]
    return " ".join([names[type(kind)], ", ".join(bounds)]).strip()
