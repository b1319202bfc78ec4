"""
Profiles that a team shares by a file or a folder: read each time, never copied and never written.

They may do what an import may, and no more. What is wrong with one keeps nobody from the others.

Where they led when they were first used here is kept: an import is looked at once and stays what it is, a shared
file may change any day, by anybody who can write it. One that names another address later is refused.
"""

import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import msgspec

from mahavishnu.ai.foreign_files.files import told
from mahavishnu.ai.foreign_files.locks import locked
from mahavishnu.ai.profiles.presets import SHIPPED
from mahavishnu.ai.profiles.profile import Profile, check_name, read_profile
from mahavishnu.ai.profiles.profile_files import SUFFIX
from mahavishnu.ai.secrets.binding import origin_of
from mahavishnu.ai.switching.site import locks_of
from mahavishnu.base.errors import (
    Conflict,
    Corrupt,
    Forbidden,
    MahavishnuError,
    NotFound,
    UsageError,
)
from mahavishnu.base.files import write_atomically
from mahavishnu.base.paths import private_folder
from mahavishnu.base.settings.files import read_regular, read_settings
from mahavishnu.base.settings.sources import Loaded
from mahavishnu.operations.ai.profile_entries import entry_of_values, exported_values, place_in

SETTING = "ai_environments.shared_profiles"
MAX_FILES = 500


@dataclass(frozen=True)
class Shared:
    """
    What is shared: `profiles` that can be used, and why others cannot.

    `broken` is by the name of a profile, `unread` by path; `files` has the file of each of both kinds.
    """

    profiles: Mapping[str, Profile] = field(default_factory=dict)
    broken: Mapping[str, MahavishnuError] = field(default_factory=dict)
    unread: Mapping[str, MahavishnuError] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)


def read_shared(loaded: Loaded) -> Shared:
    """Return what the settings share; of two with one name, the one that is named first."""
    profiles: dict[str, Profile] = {}
    broken: dict[str, MahavishnuError] = {}
    unread: dict[str, MahavishnuError] = {}
    files: dict[str, Path] = {}
    for text in loaded.settings.ai_environments.shared_profiles:
        try:
            place = _place(loaded, text)
            found = list(_find(place))
        except MahavishnuError as error:
            unread[text] = error
            continue
        for path in found:
            try:
                entries = _read_file(path, alone=path != place)
            except MahavishnuError as error:
                unread[str(path)] = error
                continue
            for name, values in entries.items():
                if name in files:
                    continue
                files[name] = path
                try:
                    profiles[name] = _profile(name, values, path)
                except MahavishnuError as error:
                    broken[name] = error
    return Shared(profiles, broken, unread, files)


def shared_places(loaded: Loaded) -> Iterator[Path]:
    """Yield the files and folders that shared profiles are read from, and the record of what was accepted."""
    for text in loaded.settings.ai_environments.shared_profiles:
        with suppress(MahavishnuError):
            yield _place(loaded, text)
    yield _file(loaded)


def _place(loaded: Loaded, text: str) -> Path:
    if "://" in text or not text.isprintable():
        raise UsageError(
            f"{SETTING} must name a file or a folder, not an address.",
            hint="Mount it, or check it out, and name the folder.",
            code="ai.shared_place",
        )
    home = loaded.environ.get("HOME")
    if home and text.startswith("~/"):
        return Path(home, text[2:])
    origin = Path(loaded.origins[SETTING].origin)
    return (origin.parent if origin.is_absolute() else loaded.locations.config) / text


def _find(place: Path) -> Iterator[Path]:
    """Yield the files of a place, in order."""
    with told(place):
        if not place.exists():
            raise NotFound(
                f"There is nothing at {place}, where profiles are shared.",
                hint=f"Mount or check out what belongs there, or take it out of {SETTING}.",
                code="ai.shared_missing",
            )
        _require_kept(place)
        if not place.is_dir():
            yield place
            return
        paths = sorted(place.glob(f"[!.]*{SUFFIX}"))
    if len(paths) > MAX_FILES:
        raise UsageError(
            f"{place} holds more than {MAX_FILES} files of profiles.",
            hint="Name a folder that has nothing else in it.",
            code="ai.shared_place",
        )
    yield from paths


def _read_file(path: Path, *, alone: bool) -> dict[str, dict[str, object]]:
    """Return what a file says by the names of profiles; one of a folder may be a profile by itself."""
    _require_kept(path)
    settings = read_settings(path)
    exported = exported_values(settings)
    if exported or not alone:
        return exported
    return {check_name(path.stem): settings}


def _require_kept(path: Path) -> None:
    """Refuse what anybody on this machine can change: it says where keys go."""
    with told(path):
        mode = path.stat().st_mode
    if mode & stat.S_IWOTH:
        raise Forbidden(
            f"Everybody on this machine can change {path}, which says where keys go.",
            hint="Take that right away: chmod o-w",
            code="ai.shared_exposed",
        )


def _profile(name: str, values: Mapping[str, object], path: Path) -> Profile:
    """Return the profile, with the checks of an import."""
    check_name(name)
    entry = entry_of_values(name, values, origin=str(path))
    shipped = SHIPPED.get(name)
    try:
        profile = read_profile(name, entry, origin=str(path), base=shipped)
    except UsageError as error:
        place = place_in(str(path), name)
        raise UsageError(f"{place}: {error.message}", hint=error.hint, code=error.code) from error
    if shipped is not None and not _hosts(profile) <= _hosts(shipped):
        raise Conflict(
            f"{path}: the profile {name} is shipped, and has another address here.",
            hint="Call the shared one by another name; or make one of that name yourself: mahavishnu ai profile edit",
            code="ai.shared_other_host",
        )
    return profile


def _hosts(profile: Profile) -> set[object]:
    return {origin_of(url) for url in profile.endpoints.values()}


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
