"""The profiles that there are, for all commands of `mahavishnu ai`, and whether the settings may be used."""

import difflib
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from mahavishnu.ai_env.presets import SHIPPED
from mahavishnu.ai_env.profile_files import find_files, folder_of
from mahavishnu.ai_env.profiles import ClientName, Entry, Profile, doubtful_hosts, read_profile
from mahavishnu.ai_env.secrets.helper import PROGRAM
from mahavishnu.ai_env.site import ClientSettings, locks_of
from mahavishnu.environments.cloud_stores import cloud_stores
from mahavishnu.environments.entries import read_entry
from mahavishnu.environments.shared import read_shared
from mahavishnu.errors import Forbidden, MahavishnuError, NotFound, UsageError
from mahavishnu.settings.files import read_settings
from mahavishnu.settings.sources import PROJECT_FILES, Loaded
from mahavishnu.settings.tree import ClientSettings as ClientSection

_GUARDED = ("ai_environments", "secrets")


def known_profiles(loaded: Loaded) -> Mapping[str, Profile]:
    """
    Return all profiles by name: the user's own first, then those of the team, then those that are shipped.

    What the settings say of a name goes before a file of ours, that before what a team shares, and that
    before what is shipped. What is shared and cannot be used is not among them: `read_shared` tells.

    Raises:
        UsageError, Corrupt: an own profile is wrong, as `read_profile`; the file is named.
    """
    own = own_profiles(loaded)
    known = dict(own)
    for others in (read_shared(loaded).profiles, SHIPPED):
        known |= {name: each for name, each in others.items() if name not in known}
    return known


def find_profile(loaded: Loaded, name: str) -> Profile:
    """
    Return the profile of this name.

    Raises:
        NotFound: `ai.unknown_profile`, with the nearest names; else as `known_profiles`.
        MahavishnuError: what is wrong with a shared profile of this name.
    """
    known = known_profiles(loaded)
    if name in known:
        return known[name]
    if (problem := read_shared(loaded).broken.get(name)) is not None:
        raise problem
    near = difflib.get_close_matches(name.lower(), known, n=3)
    raise NotFound(
        f"There is no profile {name!r}.",
        hint=f"Did you mean {' or '.join(near)}?"
        if near
        else "List them with: mahavishnu ai profile list",
        code="ai.unknown_profile",
    )


def own_profiles(loaded: Loaded) -> dict[str, Profile]:
    """Return the user's own profiles by name, sorted: of the settings, and of our files."""
    entries = {name: (entry, origin) for name, entry, origin in _entries(loaded)}
    found = {}
    for name in sorted(entries):
        entry, origin = entries[name]
        try:
            found[name] = read_profile(name, entry, origin=origin, base=SHIPPED.get(name))
        except UsageError as error:
            raise UsageError(
                f"{origin}: {error.message}", hint=error.hint, code=error.code
            ) from error
    return found


def check_environments(loaded: Loaded) -> list[str]:
    """Raise what is wrong with the user's profiles, clients and stores; returns what is only to be known."""
    chosen_clients(loaded)
    cloud_stores(loaded)
    shared = read_shared(loaded)
    problems = (*shared.unread.values(), *shared.broken.values())
    told = [f"Shared profiles: {each.message}" for each in problems]
    return told + [note for each in own_profiles(loaded).values() for note in notes_on(each)]


def notes_on(profile: Profile) -> list[str]:
    """Return what the user should know of a profile that can be used all the same."""
    return [
        f"The profile {profile.name}: there is no service at {host}, which early samples named."
        for host in doubtful_hosts(profile)
    ]


def settings_origin(loaded: Loaded, name: str) -> str | None:
    """Return the settings file that speaks of a profile; None where none does."""
    prefix = f"ai_environments.llm_profiles.{name}."
    origins = {key: each.origin for key, each in loaded.origins.items() if key.startswith(prefix)}
    return next((origin for _, origin in sorted(origins.items())), None)


def chosen_clients(loaded: Loaded) -> Mapping[ClientName, ClientSettings]:
    """Return what the settings say of each client; `~/` is the home of the environment."""
    section = loaded.settings.ai_environments
    sections: dict[ClientName, ClientSection] = {
        "claude-code": section.claude_code,
        "codex": section.codex,
        "qwen": section.qwen,
    }
    return {
        name: ClientSettings(each.enabled, _place(loaded, each.config_path))
        for name, each in sections.items()
    }


def require_trusted(loaded: Loaded) -> None:
    """
    Refuse where a project speaks of endpoints, clients or keys and is not trusted; before writing.

    Raises:
        Forbidden: `settings.untrusted`.
    """
    if loaded.untrusted is None:
        return
    for name in PROJECT_FILES:
        path = loaded.untrusted / "settings" / name
        if _speaks_of_environments(path):
            raise Forbidden(
                f"{path} speaks of AI environments or keys, and its folder is not trusted.",
                hint=f"Read it; if it is yours: mahavishnu ai trust {loaded.untrusted}",
                code="settings.untrusted",
            )


def lock_folder(loaded: Loaded) -> Path:
    """Return the folder of the locks by which commands change other programs' files in turns."""
    return locks_of(loaded.locations.state)


def key_program() -> Path:
    """
    Return the absolute path of `mahavishnu-key`, which clients are given.

    Raises:
        NotFound: `ai.no_helper`.
    """
    beside = Path(sys.executable).with_name(PROGRAM)
    found = beside if beside.exists() else Path(shutil.which(PROGRAM) or "")
    if not found.is_absolute():
        raise NotFound(
            f"{PROGRAM} is neither beside the Python that runs this, nor on the PATH.",
            hint="Install Mahavishnu anew.",
            code="ai.no_helper",
        )
    return found


def _speaks_of_environments(path: Path) -> bool:
    try:
        keys = read_settings(path)
    except MahavishnuError:
        return True  # what cannot be read may say anything
    return any(key.partition(".")[0] in _GUARDED for key in keys)


def _entries(loaded: Loaded) -> Iterator[tuple[str, Entry, str]]:
    """Yield name, entry and origin; the later of two with one name counts."""
    for name, path in find_files(folder_of(loaded.locations)).items():
        yield name, read_entry(path), str(path)
    for name, each in loaded.settings.ai_environments.llm_profiles.items():
        origin = settings_origin(loaded, name) or "the settings"
        yield name, Entry(**msgspec.structs.asdict(each)), origin


def _place(loaded: Loaded, path: str | None) -> Path | None:
    if path is None:
        return None
    home = loaded.environ.get("HOME")
    place = Path(home, path[2:]) if home and path.startswith("~/") else Path(path)
    if not place.is_absolute():
        raise UsageError(
            "The config_path of a client is neither absolute nor begins with ~/.",
            hint="Write it in full.",
            code="ai.config_path",
        )
    return place
