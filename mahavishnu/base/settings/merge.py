"""
Make one tree of the values of all sources: present names, references replaced, addresses settled, checked.

What is wrong with a profile keeps that profile out of the tree; all else that is wrong is an error.
"""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from mahavishnu.base.errors import UsageError
from mahavishnu.base.settings.files import place_of
from mahavishnu.base.settings.keys import (
    BOUNDS,
    describe_settings,
    find_setting,
    fits,
    section_keys,
    setting_keys,
)
from mahavishnu.base.settings.legacy import LEGACY_KEYS, LEGACY_SECTIONS, find_legacy
from mahavishnu.base.settings.profiles import (
    WrongProfile,
    profile_of,
    setting_aside,
    shown_key,
)
from mahavishnu.base.settings.section import PROFILE_ADDRESSES, REFERENCE_KEYS
from mahavishnu.base.settings.tree import Settings

_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_ADDRESS_PARTS = ("host", "port", "database", "user", "password")


@dataclass(frozen=True)
class Setting:
    """One value with the place it came from; a higher rank wins. `literal`: `${...}` is no reference."""

    value: Any = field(repr=False)
    origin: str
    rank: int
    literal: bool


def merge_layers(
    layers: Iterable[tuple[str, Mapping[str, Any]]], environ: Mapping[str, str], notices: list[str]
) -> tuple[dict[str, Setting], dict[str, WrongProfile]]:
    """
    Return the settings in force by key, of sources from the lowest rank up, and by name the profiles set aside.

    Raises:
        UsageError: as `load_settings`.
    """
    merged: dict[str, Setting] = {}
    wrong: dict[str, WrongProfile] = {}
    for rank, (origin, values) in enumerate(layers, start=1):
        merged |= _accept(values, origin, rank, notices, wrong)
    _settle_address(merged, notices, environ)
    for key in tuple(_outranked_keys(merged)):
        del merged[key]
    if not merged.keys() & {"postgresql.dsn", "postgresql.host"}:
        notices += [
            f"postgresql.{name} is set, but neither a host nor a DSN: the embedded database is used."
            for name in _ADDRESS_PARTS
            if f"postgresql.{name}" in merged
        ]
    # Only now: what is not in force may refer to what is not set.
    for key, setting in merged.items():
        with setting_aside(wrong, key, setting.origin):
            merged[key] = _expand(key, setting, environ)
            if profile_of(key) is not None and not fits(
                find_setting(key) or key, merged[key].value
            ):
                raise _invalid(key, setting.origin)
    return {key: each for key, each in merged.items() if profile_of(key) not in wrong}, wrong


def _accept(
    values: Mapping[str, Any],
    origin: str,
    rank: int,
    notices: list[str],
    wrong: dict[str, WrongProfile],
) -> dict[str, Setting]:
    """Return the settings of one source under their present keys."""
    accepted: dict[str, Setting] = {}
    names: dict[str, str] = {}
    for name, value in values.items():
        with setting_aside(wrong, name, origin):
            key = _present_key(name, value, origin, notices)
            if key is None:
                continue
            if key in accepted and accepted[key].value != value:
                raise UsageError(
                    f"{names[key]} and {name} in {place_of(origin, name)} are one setting, and their"
                    " values differ.",
                    hint=f"Keep {key} with the value you want.",
                    code="settings.contradiction",
                )
            accepted[key] = Setting(value, origin, rank, literal=origin == "environment")
            names[key] = name
    return accepted


def _present_key(key: str, value: Any, origin: str, notices: list[str]) -> str | None:
    """Return the key that takes a value now; None where there is none, and a notice says why."""
    if find_setting(key):
        return key
    is_section = find_setting(key, section_keys()) is not None
    if (is_section or key in LEGACY_SECTIONS) and value in (None, {}):
        return None
    if is_section:
        raise UsageError(
            f"{key} in {place_of(origin, key)} is a group of settings, not a value.",
            hint=f"Write the names below it, indented: {key}:",
            code="settings.invalid_value",
        )
    legacy = find_legacy(key)
    if legacy is None:
        near = difflib.get_close_matches(key, [*setting_keys(), *LEGACY_KEYS], n=1)
        raise UsageError(
            f"Unknown setting {shown_key(key)!r} in {place_of(origin, key)}.",
            hint=f"Did you mean {near[0]}?"
            if near
            else "Take it out; then mahavishnu config show lists what there is.",
            code="settings.unknown_key",
        )
    notices.append(
        f"{key} in {origin} is now called {legacy.now}."
        if legacy.now
        else f"{key} in {origin}: {legacy.answer}"
    )
    return legacy.now


def _outranked_keys(merged: Mapping[str, Setting]) -> Iterator[str]:
    """
    Yield the keys of profiles that do not count, since a source of a higher rank gives an address.

    What gives none only changes what it names, as everywhere in the settings.
    """
    names: dict[str, list[str]] = {}
    for key in merged:
        if (name := profile_of(key)) is not None:
            names.setdefault(name, []).append(key)
    for keys in names.values():
        addresses = [key for key in keys if key.rpartition(".")[2] in PROFILE_ADDRESSES]
        rank = max((merged[key].rank for key in addresses), default=0)
        yield from (key for key in keys if merged[key].rank < rank)


def _expand(key: str, setting: Setting, environ: Mapping[str, str]) -> Setting:
    """Replace `${NAME}` by the environment variable, which must be set; once."""
    kept = find_setting(key, REFERENCE_KEYS) is not None
    if setting.literal or kept or not isinstance(setting.value, str):
        return setting

    def resolve(match: re.Match[str]) -> str:
        if match[1] not in environ:
            raise UsageError(
                f"{key} in {place_of(setting.origin, key)} refers to {match[0]}, which is not set.",
                hint=f"Export {match[1]}, or remove the reference.",
                code="settings.unset_reference",
            )
        return environ[match[1]]

    return replace(setting, value=_REFERENCE.sub(resolve, setting.value), literal=True)


def _settle_address(
    merged: dict[str, Setting], notices: list[str], environ: Mapping[str, str]
) -> None:
    """
    Make an address that is given whole and in parts one thing, by the rank of the sources.

    A host of a higher rank than the whole address replaces it, password and all; other parts of a
    higher rank go into it; parts of the same rank or below are dropped. So is a direct address of a
    lower rank, which means another server: there, migrations would go.
    """
    from mahavishnu.database.target import override_dsn  # noqa: PLC0415 - cold path

    whole = merged.get("postgresql.dsn")
    parts = {
        name: merged[key] for name in _ADDRESS_PARTS if (key := f"postgresql.{name}") in merged
    }
    higher = {n: part for n, part in parts.items() if whole is None or part.rank > whole.rank}
    chosen = higher.get("host", whole)
    direct = merged.get("postgresql.direct_dsn")
    if direct and chosen and direct.rank < chosen.rank:
        del merged["postgresql.direct_dsn"]
        notices.append(
            f"postgresql.direct_dsn in {direct.origin} does not count beside the address"
            f" in {chosen.origin}, which outranks it; behind a pooler, give both there."
        )
    if whole is None:
        return
    for name in parts:
        if chosen is whole or name not in higher:
            del merged[f"postgresql.{name}"]
    if chosen is not whole:
        del merged["postgresql.dsn"]
        return
    words = {
        name: str(_expand(f"postgresql.{name}", part, environ).value)
        for name, part in higher.items()
    }
    for key in ("postgresql.dsn", "postgresql.direct_dsn"):
        if words and key in merged:
            given = _expand(key, merged[key], environ)
            merged[key] = replace(given, value=override_dsn(str(given.value), **words))


def build_settings(merged: Mapping[str, Setting]) -> Settings:
    tree: dict[str, Any] = {}
    for key, setting in merged.items():
        *sections, name = key.split(".")
        branch = tree
        for section in sections:
            branch = branch.setdefault(section, {})
        branch[name] = str(setting.value).lower() if key == "log_level" else setting.value
    try:
        return msgspec.convert(tree, Settings, strict=False)
    except msgspec.ValidationError as error:
        key = _key_at_fault(str(error), merged)
        raise _invalid(key, merged[key].origin if key in merged else "the settings") from error


def _invalid(key: str, origin: str) -> UsageError:
    wanted = {name: kind for name, kind, *_ in describe_settings()}
    return UsageError(
        f"{key} in {place_of(origin, key, key.rpartition('.')[0])} must be:"
        f" {wanted.get(find_setting(key) or key, 'something else')}.",
        hint=BOUNDS.get(key, "Correct it, or take it out to have the default."),
        code="settings.invalid_value",
    )


def _key_at_fault(message: str, merged: Mapping[str, Setting]) -> str:
    """Return the key that msgspec complains about; it does not tell the name in a mapping."""
    path = re.sub(r"\[\d+\]", "", message.partition(" - at `$.")[2].rstrip("`"))
    setting = path.replace("[...]", ".*")
    for key in merged:
        if find_setting(key, [setting]) and not fits(setting, merged[key].value):
            return key
    return setting
