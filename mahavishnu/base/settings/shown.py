"""The settings in force as commands show them, secrets masked; and where they are kept."""

from typing import Any

from msgspec import Struct

from mahavishnu.base.masking import MASK, mask_url
from mahavishnu.base.settings.keys import find_setting
from mahavishnu.base.settings.section import ADDRESS_KEYS, SECRET_KEYS, URL_KEYS
from mahavishnu.base.settings.sources import Loaded, keys_in_force, lookup
from mahavishnu.database.target import mask_password


class ShownSetting(Struct, frozen=True):
    """A value, and the file, environment or flag that says it, else "default"."""

    value: Any
    origin: str


class ShownSettings(Struct, frozen=True):
    """All settings by key."""

    settings: dict[str, ShownSetting]


class Places(Struct, frozen=True):
    """Where settings, data and state are."""

    settings: str
    data: str
    state: str


def shown_settings(loaded: Loaded) -> ShownSettings:
    """Return every setting with its value."""
    origins = {key: each.origin for key, each in loaded.origins.items()}
    return ShownSettings(
        {
            key: ShownSetting(
                shown_value(key, lookup(loaded.settings, key)), origins.get(key, "default")
            )
            for key in keys_in_force(loaded)
        }
    )


def shown_value(key: str, value: Any) -> Any:
    """Return a value as it may be printed: secrets masked."""
    setting = find_setting(key) or key
    if setting in SECRET_KEYS and value is not None:
        return MASK
    if setting in ADDRESS_KEYS and value is not None:
        return mask_password(value)
    if setting in URL_KEYS and value is not None:
        return mask_url(value)
    return value
