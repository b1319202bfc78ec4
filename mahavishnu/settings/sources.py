"""
Find the settings, merge them by rank, check them once: flags > environment > project > user > defaults.

A project's `settings/` counts only where its directory is trusted, because a cloned repository could
otherwise send texts and keys elsewhere.
"""

import difflib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from mahavishnu.errors import Corrupt, Forbidden, UsageError
from mahavishnu.files import write_atomically
from mahavishnu.masking import MASK, mask_url
from mahavishnu.paths import Locations, locate, private_folder, working_folder
from mahavishnu.settings.files import read_regular, read_settings
from mahavishnu.settings.keys import (
    BOUNDS,
    describe_settings,
    find_setting,
    fits,
    section_keys,
    setting_keys,
)
from mahavishnu.settings.legacy import LEGACY_KEYS, LEGACY_SECTIONS, find_legacy
from mahavishnu.settings.profiles import outranked_keys
from mahavishnu.settings.tree import (
    ADDRESS_KEYS,
    ENVIRONMENT,
    OTHER_ENVIRONMENT,
    REFERENCE_KEYS,
    SECRET_KEYS,
    URL_KEYS,
    Settings,
)

_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_PARTS = ("host", "port", "database", "user", "password")
PROJECT_FILES = ("mahavishnu.yaml", "local.yaml")  # the later wins


@dataclass(frozen=True)
class Setting:
    """One value with the place it came from; a higher rank wins. `literal`: `${...}` is no reference."""

    value: Any = field(repr=False)
    origin: str
    rank: int
    literal: bool


@dataclass(frozen=True)
class Loaded:
    """
    The settings in force, where each value came from, and what the reader should know.

    `untrusted` is the project whose `settings/` were not read.
    """

    settings: Settings
    origins: Mapping[str, Setting]
    notices: tuple[str, ...]
    locations: Locations
    environ: Mapping[str, str] = field(repr=False)
    untrusted: Path | None = None


def load_settings(
    *,
    environ: Mapping[str, str] | None = None,
    folder: Path | str | None = None,
    flags: Mapping[str, Any] | None = None,
) -> Loaded:
    """
    Read every source and return the merged, checked settings.

    Args:
        environ: the environment; the process's own by default.
        folder: where to look for a project's `settings/`; the working directory by default.
        flags: values by dotted key, of the highest rank.

    Raises:
        UsageError: an unknown key (with the nearest one) or a value of the wrong type.
        Corrupt: a file that is no YAML mapping.
        NotFound: `settings.no_working_folder`.
    """
    environ = os.environ if environ is None else environ
    locations = locate(environ)
    notices: list[str] = []
    layers: list[tuple[str, dict[str, Any]]] = [
        (str(locations.user_settings), read_settings(locations.user_settings))
    ]
    project = find_project_settings(Path(folder or working_folder()), environ)
    trusted = project is not None and is_trusted(project, locations)
    if project is not None and trusted:
        for name in PROJECT_FILES:
            path = project / "settings" / name
            layers.append((str(path), read_settings(path)))
    elif project is not None:
        notices.append(
            f"{project / 'settings'} is not trusted and was not read; "
            f"to trust it: mahavishnu config trust {project}"
        )
    layers.append(("environment", _read_environment(environ)))
    layers.append(("flag", dict(flags or {})))
    merged: dict[str, Setting] = {}
    for rank, (origin, values) in enumerate(layers, start=1):
        merged |= _accept(values, origin, rank, notices)
    _settle_address(merged, notices, environ)
    for key in tuple(outranked_keys(merged)):
        del merged[key]
    addressed = merged.keys() & {"postgresql.dsn", "postgresql.host"}
    if not addressed:
        notices += [
            f"postgresql.{name} is set, but neither a host nor a DSN: the embedded database is used."
            for name in _PARTS
            if f"postgresql.{name}" in merged
        ]
    # Only now: what is not in force may refer to what is not set.
    merged = {key: _expand(key, setting, environ) for key, setting in merged.items()}
    settings = _build(merged)
    notices += _mention_unknown(environ, settings)
    untrusted = None if trusted else project
    return Loaded(settings, merged, tuple(notices), locations, environ, untrusted)


def find_project_settings(folder: Path, environ: Mapping[str, str]) -> Path | None:
    """Return the nearest folder at or above `folder`, below the home, that has settings."""
    home = Path(environ["HOME"]).resolve() if environ.get("HOME") else None
    start = folder.resolve()
    for candidate in (start, *start.parents):
        if candidate == home:
            return None
        if any((candidate / "settings" / name).exists() for name in PROJECT_FILES):
            return candidate
    return None


def is_trusted(folder: Path, locations: Locations) -> bool:
    """Tell whether the user has trusted this very folder."""
    return str(folder.resolve()) in _read_trusted(locations)


def trust(folder: Path, locations: Locations) -> Path:
    """Trust the `settings/` of `folder`; returns its resolved path."""
    resolved = folder.resolve()
    if not resolved.is_dir():
        raise UsageError(
            f"{folder} is not a folder.",
            hint="Name the folder that holds the project's settings/.",
            code="settings.not_a_folder",
        )
    known = sorted({*_read_trusted(locations), str(resolved)})
    try:
        private_folder(locations.config)
        _require_own(locations.config, locations.trusted_directories)
        write_atomically(locations.trusted_directories, msgspec.json.encode(known))
    except UnicodeEncodeError as error:
        raise UsageError(
            f"The name of {folder} is not UTF-8.",
            hint="Rename it first.",
            code="settings.not_a_folder",
        ) from error
    except OSError as error:
        raise Forbidden(
            f"{locations.trusted_directories} cannot be written ({error.strerror}).",
            hint="Check the owner and the rights of the folder.",
            code="settings.not_writable",
        ) from error
    return resolved


def _require_own(*paths: Path) -> None:
    """Refuse to write where root would leave its own file in the place of a user's."""
    for path in paths:
        if path.exists() and path.stat().st_uid != os.geteuid():
            raise Forbidden(
                f"{path} belongs to another user.",
                hint="Run as that user, or set MAHAVISHNU_HOME to a place of your own.",
                code="settings.not_writable",
            )


def shown_value(key: str, value: Any) -> Any:
    """Return a value as it may be printed: secrets masked."""
    from mahavishnu.database.target import mask_password  # noqa: PLC0415 - cold path

    setting = find_setting(key) or key
    if setting in SECRET_KEYS and value is not None:
        return MASK
    if setting in ADDRESS_KEYS and value is not None:
        return mask_password(value)
    if setting in URL_KEYS and value is not None:
        return mask_url(value)
    return value


def lookup(settings: Settings, key: str) -> Any:
    """Return the value of a dotted key."""
    value: Any = settings
    for part in key.split("."):
        value = value[part] if isinstance(value, dict) else getattr(value, part)
    return value


def keys_in_force(loaded: Loaded) -> tuple[str, ...]:
    """Return the keys of all settings, in order; of those with a name, the ones that are given."""
    return tuple(
        key
        for setting in setting_keys()
        for key in (
            sorted(each for each in loaded.origins if find_setting(each, [setting]))
            if "*" in setting
            else [setting]
        )
    )


def _read_trusted(locations: Locations) -> list[str]:
    try:
        content = read_regular(locations.trusted_directories)
    except FileNotFoundError:
        return []
    try:
        return msgspec.json.decode(content, type=list[str])
    except msgspec.DecodeError as error:
        raise Corrupt(
            f"{locations.trusted_directories} is damaged.",
            hint="Remove it and trust the directories again.",
            code="settings.trusted_damaged",
        ) from error


def _read_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    # Of two names of one setting the first counts: that of our own before that of Ollama.
    named = reversed(ENVIRONMENT.items())
    return {key: environ[name] for name, key in named if environ.get(name)}


def _mention_unknown(environ: Mapping[str, str], settings: Settings) -> Iterator[str]:
    """Yield a notice for each variable of ours that is none; keys that are required are known."""
    secrets = settings.secrets.env
    keys = {f"{secrets.prefix}{name}" for name in secrets.required_keys}
    for name in sorted(environ):
        if (
            name.startswith("MAHAVISHNU_")
            and name not in ENVIRONMENT.keys() | OTHER_ENVIRONMENT | keys
        ):
            near = difflib.get_close_matches(name, ENVIRONMENT, n=1)
            yield f"The environment variable {name} means nothing here." + (
                f" Did you mean {near[0]}?" if near else ""
            )


def _accept(
    values: Mapping[str, Any], origin: str, rank: int, notices: list[str]
) -> dict[str, Setting]:
    """Return the settings of one source under their present keys."""
    accepted: dict[str, Setting] = {}
    names: dict[str, str] = {}
    for name, value in values.items():
        key = _present_key(name, value, origin, notices)
        if key is None:
            continue
        if key in accepted and accepted[key].value != value:
            raise UsageError(
                f"{names[key]} and {name} in {origin} are one setting, and their values differ.",
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
            f"{key} in {origin} is a group of settings, not a value.",
            hint=f"Write the names below it, indented: {key}:",
            code="settings.invalid_value",
        )
    legacy = find_legacy(key)
    if legacy is None:
        near = difflib.get_close_matches(key, [*setting_keys(), *LEGACY_KEYS], n=1)
        raise UsageError(
            f"Unknown setting {key!r} in {origin}.",
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


def _expand(key: str, setting: Setting, environ: Mapping[str, str]) -> Setting:
    """Replace `${NAME}` by the environment variable, which must be set; once."""
    kept = find_setting(key, REFERENCE_KEYS) is not None
    if setting.literal or kept or not isinstance(setting.value, str):
        return setting

    def resolve(match: re.Match[str]) -> str:
        if match[1] not in environ:
            raise UsageError(
                f"{key} refers to {match[0]}, which is not set.",
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
    parts = {name: merged[key] for name in _PARTS if (key := f"postgresql.{name}") in merged}
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


def _build(merged: Mapping[str, Setting]) -> Settings:
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
        origin = merged[key].origin if key in merged else "the settings"
        wanted = {name: kind for name, kind, *_ in describe_settings()}
        raise UsageError(
            f"{key} in {origin} must be: {wanted.get(find_setting(key) or key, 'something else')}.",
            hint=BOUNDS.get(key, "Correct it, or take it out to have the default."),
            code="settings.invalid_value",
        ) from error


def _key_at_fault(message: str, merged: Mapping[str, Setting]) -> str:
    """Return the key that msgspec complains about; it does not tell the name in a mapping."""
    path = re.sub(r"\[\d+\]", "", message.partition(" - at `$.")[2].rstrip("`"))
    setting = path.replace("[...]", ".*")
    for key in merged:
        if find_setting(key, [setting]) and not fits(setting, merged[key].value):
            return key
    return setting
