"""
Where shared profiles led when they were first used here: one that leads elsewhere later is not followed.

An import is looked at once and stays what it is; a shared file may change any day, by anybody who can write it.
"""

from datetime import timedelta
from pathlib import Path

import msgspec

from mahavishnu.ai_env.locks import locked
from mahavishnu.ai_env.profiles import Profile
from mahavishnu.ai_env.secrets.binding import origin_of
from mahavishnu.ai_env.site import locks_of
from mahavishnu.environments.shared import read_shared
from mahavishnu.errors import Conflict, Corrupt
from mahavishnu.files import write_atomically
from mahavishnu.paths import private_folder
from mahavishnu.settings.files import read_regular
from mahavishnu.settings.sources import Loaded

_PATIENCE = timedelta(seconds=10)


class Way(msgspec.Struct, frozen=True):
    """Which key goes where."""

    key: str
    addresses: tuple[str, ...]


def require_accepted(loaded: Loaded, profile: Profile) -> None:
    """
    Refuse a shared profile whose key, or where it goes, is not what it was when it was first used here.

    Raises:
        Conflict: `ai.shared_changed`, with both.
        Corrupt: `ai.shared_record`.
    """
    if not _is_shared(loaded, profile):
        return
    known, now = _read(_file(loaded)).get(profile.name), _way(profile)
    if known is not None and known != now:
        raise Conflict(
            f"The shared profile {profile.name} took {known.key} to {', '.join(known.addresses)} when it was used"
            f" first, and takes {now.key} to {', '.join(now.addresses)} now.",
            hint=f"Ask who keeps it. If that is right: mahavishnu ai profile accept {profile.name}",
            code="ai.shared_changed",
        )


def accept(loaded: Loaded, profile: Profile) -> bool:
    """Note where a shared profile leads, for later; tells whether it is a shared one."""
    if not _is_shared(loaded, profile):
        return False
    path = _file(loaded)
    private_folder(path.parent)
    with locked(path, locks_of(loaded.locations.state), timeout=_PATIENCE):
        known = _read(path)
        if known.get(profile.name) != _way(profile):
            write_atomically(path, msgspec.json.encode(known | {profile.name: _way(profile)}))
    return True


def _is_shared(loaded: Loaded, profile: Profile) -> bool:
    return profile.auth != "native" and read_shared(loaded).profiles.get(profile.name) == profile


def _way(profile: Profile) -> Way:
    addresses = {str(origin_of(url)) for url in profile.endpoints.values()}
    return Way(str(profile.key), tuple(sorted(addresses)))


def _file(loaded: Loaded) -> Path:
    return loaded.locations.state / "ai" / "shared-profiles.json"


def _read(path: Path) -> dict[str, Way]:
    try:
        return msgspec.json.decode(read_regular(path), type=dict[str, Way])
    except FileNotFoundError:
        return {}
    except msgspec.DecodeError as error:
        raise Corrupt(
            f"{path} is damaged.",
            hint="Remove it: then what shared profiles say now counts, so look at them first.",
            code="ai.shared_record",
        ) from error
