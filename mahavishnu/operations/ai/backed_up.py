"""The settings, profiles and journal of a user as parts of a backup; of keys only the references."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from mahavishnu.ai.foreign_files.files import told
from mahavishnu.ai.profiles.profile_files import find_files, folder_of
from mahavishnu.ai.secrets.key_shapes import find_keys
from mahavishnu.ai.secrets.reference import parse_reference
from mahavishnu.base.errors import MahavishnuError, UsageError
from mahavishnu.base.masking import MASK, mask_url
from mahavishnu.base.paths import Locations
from mahavishnu.base.settings.files import read_settings
from mahavishnu.base.settings.keys import find_setting
from mahavishnu.base.settings.section import ADDRESS_KEYS, SECRET_KEYS, URL_KEYS
from mahavishnu.database.backup.manifest import CONFIGURATION, JOURNAL

_PROFILES = "ai_environments.llm_profiles."
_PROFILE = f"{_PROFILES}*."


class BackedUpFile(msgspec.Struct, frozen=True, omit_defaults=True):
    """The values of one file by dotted key; `withheld` are keys whose value is, or holds, a secret."""

    values: dict[str, Any] = {}
    withheld: tuple[str, ...] = ()
    unreadable: str | None = None


def collect_files(locations: Locations) -> dict[str, bytes]:
    """Return the parts of a backup beside the database, by their names."""
    return {
        CONFIGURATION: encode_configuration(locations),
        JOURNAL: _read_journal(locations.state / "ai" / "journal.jsonl"),
    }


def encode_configuration(locations: Locations) -> bytes:
    """Return the user's settings and profiles by file name, without anything that is or looks like a key."""
    settings = locations.user_settings
    files = {settings.name: _read(settings, "")}
    folder = folder_of(locations)
    for path in find_files(folder).values():
        files[f"{folder.name}/{path.name}"] = _read(path, _PROFILE)
    return msgspec.json.format(msgspec.json.encode(files, enc_hook=str), indent=1) + b"\n"


def _read_journal(path: Path) -> bytes:
    """Return the journal of switches, in which keys are marks; empty where nothing was switched yet."""
    with told(path):
        return path.read_bytes() if path.exists() else b""


def _read(path: Path, prefix: str) -> BackedUpFile:
    try:
        values: Mapping[str, Any] = read_settings(path)
    except MahavishnuError as error:
        return BackedUpFile(unreadable=error.code)
    withheld = tuple(key for key, value in values.items() if _is_secret(prefix + key, value))
    return BackedUpFile(
        {key: value for key, value in values.items() if key not in withheld}, withheld
    )


def _is_secret(key: str, value: Any) -> bool:
    """
    Tell whether a value may not leave: a key that is no reference, an address with a password, a key's look.

    Of a profile also what is no part of one.
    """
    if isinstance(value, list):
        return any(_is_secret(key, each) for each in value)
    setting = find_setting(key)
    if key.startswith(_PROFILES) and (setting is None or isinstance(value, Mapping)):
        return True  # whoever wrote `api_key` by hand meant a key
    if not isinstance(value, str):
        return setting in SECRET_KEYS and value is not None
    if setting in SECRET_KEYS:
        return not _is_reference(value)
    if setting in URL_KEYS | ADDRESS_KEYS and (MASK in mask_url(value) or "password" in value):
        return True
    return any(True for _ in find_keys(value))


def _is_reference(value: str) -> bool:
    try:
        parse_reference(value)
    except UsageError:
        return False
    return True
