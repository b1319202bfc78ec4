"""The user's profiles as commands write them: in turns, checked before, and never over what is elsewhere."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

from mahavishnu.ai.clients.table import CLIENTS
from mahavishnu.ai.foreign_files.locks import locked
from mahavishnu.ai.profiles.presets import SHIPPED
from mahavishnu.ai.profiles.profile import Entry, Profile, check_name, read_profile
from mahavishnu.ai.profiles.profile_files import find_files, folder_of, path_of, write_file
from mahavishnu.ai.switching.status import ClientStatus, look
from mahavishnu.base.errors import Conflict, MahavishnuError
from mahavishnu.base.settings.sources import Loaded
from mahavishnu.interfaces.cli.ai.telling import tell_note
from mahavishnu.operations.ai.clients import lock_folder
from mahavishnu.operations.ai.profile_entries import read_entry
from mahavishnu.operations.ai.profiles import known_profiles, settings_origin
from mahavishnu.operations.ai.site import open_site
from mahavishnu.operations.ai.team_profiles import read_shared

_PATIENCE = timedelta(seconds=10)


@contextmanager
def turn(loaded: Loaded) -> Iterator[None]:
    """Keep other commands from changing profiles inside the block."""
    folder = folder_of(loaded.locations)
    with locked(folder, lock_folder(loaded), timeout=_PATIENCE):
        yield


def save(loaded: Loaded, name: str, entry: Entry) -> Profile:
    """Check and write what an entry says; returns the profile that it makes."""
    profile = profile_of(loaded, name, entry)
    write_file(folder_of(loaded.locations), name, entry)
    return profile


def profile_of(loaded: Loaded, name: str, entry: Entry) -> Profile:
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


def users_of(loaded: Loaded, name: str) -> tuple[ClientStatus, ...]:
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


def note_users(users: Iterable[ClientStatus], what: str, name: str) -> None:
    """Tell who goes on with `what` as it was, since only a switch writes to clients."""
    for each in users:
        scope = " --scope project" if each.scope == "project" else ""
        tell_note(
            f"{CLIENTS[each.client].title} goes on with {what}, until you call:"
            f" mahavishnu ai switch-llm {name} --client {each.client}{scope}"
        )


def check_import(loaded: Loaded, wanted: Mapping[str, Entry], *, replace: bool) -> tuple[str, ...]:
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
