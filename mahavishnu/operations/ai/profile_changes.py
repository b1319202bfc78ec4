"""The profiles as a file has them: shown, and the user's own changed: in turns, checked before, and never elsewhere."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

from mahavishnu.ai.clients.table import CLIENTS, ClientName
from mahavishnu.ai.foreign_files.locks import locked
from mahavishnu.ai.profiles.presets import SHIPPED
from mahavishnu.ai.profiles.profile import (
    Profile,
    ProfileEntry,
    check_name,
    entry_of,
    read_profile,
)
from mahavishnu.ai.profiles.profile_files import (
    find_files,
    folder_of,
    path_of,
    remove_file,
    values_of,
    write_file,
)
from mahavishnu.ai.switching.status import ClientStatus, look
from mahavishnu.base.errors import Conflict, MahavishnuError, UsageError
from mahavishnu.base.settings.sources import Loaded
from mahavishnu.operations.ai.clients import lock_folder, require_trusted
from mahavishnu.operations.ai.profile_entries import read_entry
from mahavishnu.operations.ai.profiles import (
    find_profile,
    known_profiles,
    own_profiles,
    settings_origin,
)
from mahavishnu.operations.ai.results import Whole
from mahavishnu.operations.ai.site import open_site
from mahavishnu.operations.ai.team_profiles import accept, read_shared

_PATIENCE = timedelta(seconds=10)


class ProfileDetails(Whole, frozen=True, kw_only=True):
    """A profile with the keys that a file has, and what follows from them."""

    name: str
    title: str
    auth: str
    anthropic_base_url: str | None
    openai_responses_base_url: str | None
    openai_chat_base_url: str | None
    key: str | None
    key_header: str
    model: str | None
    small_model: str | None
    api_timeout_ms: int | None
    clients: list[ClientName]
    origin: str


class AllProfiles(Whole, frozen=True, kw_only=True):
    """All profiles."""

    profiles: list[ProfileDetails]


class RemovedProfile(Whole, frozen=True, kw_only=True):
    """A profile of the user's own that is gone, and its file."""

    removed: str
    path: str


class ExportedProfiles(Whole, frozen=True, kw_only=True):
    """What a file of settings says of profiles, by name."""

    profiles: dict[str, dict[str, object]]


class AcceptedProfile(Whole, frozen=True, kw_only=True):
    """A shared profile as it counts from now on: which key goes where."""

    accepted: str
    key: str
    addresses: list[str]


def details_of(found: Profile) -> ProfileDetails:
    """Return what is shown of a profile."""
    said = dataclasses.asdict(entry_of(found)) | {"title": found.title}
    clients = [client for client in CLIENTS if found.protocol_for(client)]
    return ProfileDetails(**said | {"name": found.name, "clients": clients, "origin": found.origin})


def list_profiles(loaded: Loaded) -> AllProfiles:
    """Return all profiles."""
    return AllProfiles(profiles=[details_of(each) for each in known_profiles(loaded).values()])


def export_profiles(loaded: Loaded, names: Iterable[str]) -> ExportedProfiles:
    """Return the profiles that are named, else the user's own; they hold references, no keys."""
    found = [find_profile(loaded, name) for name in names] or own_profiles(loaded).values()
    return ExportedProfiles(profiles={each.name: values_of(entry_of(each)) for each in found})


def accept_profile(loaded: Loaded, name: str) -> AcceptedProfile:
    """Let a shared profile count as it is now."""
    profile = find_profile(loaded, name)
    if not accept(loaded, profile):
        raise UsageError(
            f"The profile {name} is not shared.",
            hint="Your own profiles and those that are shipped need no acceptance.",
            code="ai.not_shared",
        )
    addresses = sorted(set(profile.endpoints.values()))
    return AcceptedProfile(accepted=name, key=str(profile.key), addresses=addresses)


def add_profile(loaded: Loaded, name: str, entry: ProfileEntry) -> ProfileDetails:
    """Write a profile that there is not yet."""
    with _editing(loaded, name) as path:
        if path is not None or name in SHIPPED:
            raise Conflict(
                f"There is a profile {name} already.",
                hint=f"Change it with: mahavishnu ai profile edit {name}",
                code="ai.profile_exists",
            )
        return details_of(save(loaded, name, entry))


def edit_profile(
    loaded: Loaded, name: str, changes: ProfileEntry, unset: Iterable[str]
) -> tuple[ProfileDetails, list[str]]:
    """Change what is named of a profile; returns notes on clients that go on as before, too."""
    with _editing(loaded, name) as path:
        if path is None:
            require_own(loaded, name)
        if path is None and name not in SHIPPED:
            find_profile(loaded, name)  # which tells the nearest
        before = read_entry(path) if path else ProfileEntry()
        wanted = dataclasses.replace(before, **changes.said() | dict.fromkeys(unset))
        users = _users_of(loaded, name)
        profile = save(loaded, name, wanted)
    if dataclasses.replace(before, title=wanted.title) == wanted:
        users = ()
    return details_of(profile), _notes(users, "what it said before", name)


def remove_profile(loaded: Loaded, name: str) -> tuple[RemovedProfile, list[str]]:
    """Remove a profile of the user's own; returns notes on clients that go on with it, too."""
    with _editing(loaded, name) as path:
        if path is None:
            require_own(loaded, name)
            find_profile(loaded, name)
            raise Conflict(
                f"The profile {name} is shipped, and cannot be removed.",
                hint="It does nothing as long as no client is switched to it.",
                code="ai.profile_shipped",
            )
        users = _users_of(loaded, name)
        remove_file(path)
    body = RemovedProfile(removed=name, path=str(path))
    return body, _notes(users, "what it said", name if name in SHIPPED else "ANOTHER")


@contextmanager
def _editing(loaded: Loaded, name: str) -> Iterator[Path | None]:
    """Keep other commands from changing profiles meanwhile; yields the file of one, where it has one."""
    require_trusted(loaded)
    require_editable(loaded, check_name(name))
    with turn(loaded):
        yield find_files(folder_of(loaded.locations)).get(name)


@contextmanager
def turn(loaded: Loaded) -> Iterator[None]:
    """Keep other commands from changing profiles inside the block."""
    folder = folder_of(loaded.locations)
    with locked(folder, lock_folder(loaded), timeout=_PATIENCE):
        yield


def save(loaded: Loaded, name: str, entry: ProfileEntry) -> Profile:
    """Check and write what an entry says; returns the profile that it makes."""
    profile = profile_of(loaded, name, entry)
    write_file(folder_of(loaded.locations), name, entry)
    return profile


def profile_of(loaded: Loaded, name: str, entry: ProfileEntry) -> Profile:
    """Return the profile that an entry makes where a file of ours holds it; raises as `read_profile`."""
    origin = str(path_of(folder_of(loaded.locations), name))
    return read_profile(name, entry, origin=origin, base=SHIPPED.get(name))


def require_editable(loaded: Loaded, name: str) -> None:
    """
    Refuse to write a profile of which the settings speak, since those would win.

    Raises:
        Conflict: `ai.profile_in_settings`, naming the file.
    """
    origin = settings_origin(loaded, name)
    if origin is not None:
        where = origin if Path(origin).is_absolute() else f"the {origin}"
        raise Conflict(
            f"The profile {name} is in {where}, which this command does not change.",
            hint="Change it there.",
            code="ai.profile_in_settings",
        )


def require_own(loaded: Loaded, name: str) -> None:
    """
    Refuse to change a profile that a team shares; to be asked where there is no file of ours.

    Raises:
        Conflict: `ai.profile_shared`, with the way to make it one's own.
    """
    shared = read_shared(loaded)
    if name in shared.profiles or name in shared.broken:
        raise Conflict(
            f"The profile {name} is shared, and is in {shared.files[name]}.",
            hint=f"Make it yours: mahavishnu ai profile export {name} > {name}.yaml, then: mahavishnu ai profile"
            f" import {name}.yaml",
            code="ai.profile_shared",
        )


def _users_of(loaded: Loaded, name: str) -> tuple[ClientStatus, ...]:
    """
    Return the settings that use a profile, or were switched to it last.

    None where that is unknown: a broken profile can be fixed or removed all the same.
    """
    with suppress(MahavishnuError):
        site = open_site(loaded)
        history = site.journal.read()
        return tuple(
            each
            for each in look(site, known_profiles(loaded), history)
            if name in (each.profile, history.remember(Path(each.path)).profile)
        )
    return ()


def _notes(users: Iterable[ClientStatus], what: str, name: str) -> list[str]:
    """Say who goes on with `what` as it was, since only a switch writes to clients."""
    return [
        f"{CLIENTS[each.client].title} goes on with {what}, until you call:"
        f" mahavishnu ai switch-llm {name} --client {each.client}"
        f"{' --scope project' if each.scope == 'project' else ''}"
        for each in users
    ]


def check_import(
    loaded: Loaded, wanted: Mapping[str, ProfileEntry], *, replace: bool
) -> tuple[str, ...]:
    """
    Return the names of those entries that say something new; all can be written then.

    Raises:
        Conflict: `ai.profile_exists`, there is another one of that name, the user's or a shipped one,
            unless it is replaced; else as `require_editable` and `read_profile`.
    """
    files = find_files(folder_of(loaded.locations))
    new = []
    for name, entry in wanted.items():
        require_editable(loaded, check_name(name))
        profile = profile_of(loaded, name, entry)
        path = files.get(name)
        there = SHIPPED.get(name) if path is None else profile_of(loaded, name, read_entry(path))
        if there is not None and not replace:
            if there == dataclasses.replace(profile, origin=there.origin):
                continue
            raise Conflict(
                f"There is another profile {name} already{' (shipped)' if path is None else ''}.",
                hint="Replace it with --replace, or leave it out with --only.",
                code="ai.profile_exists",
            )
        new.append(name)
    return tuple(new)
