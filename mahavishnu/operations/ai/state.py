"""
What AI clients use, and what was switched and changed: questions that write nothing.

Each is answered for the settings and the folder of an `Environments`; `operations.switching` has what writes.
"""

import itertools
from typing import Any

from mahavishnu.ai.foreign_files.documents.port import plain
from mahavishnu.ai.profiles.profile import Profile
from mahavishnu.ai.switching.journal import History, JournalEntry
from mahavishnu.ai.switching.requirements import MissingRequirement
from mahavishnu.ai.switching.site import Site
from mahavishnu.ai.switching.status import ClientStatus, key_state, look
from mahavishnu.base.errors import Corrupt, Forbidden
from mahavishnu.operations.ai.bindings import find_bound
from mahavishnu.operations.ai.profiles import shared_missing
from mahavishnu.operations.ai.requests import ListLlms, LlmStatus
from mahavishnu.operations.ai.results import (
    Bound,
    Changes,
    ClientBody,
    DriftBody,
    DriftedFile,
    LlmState,
    MissingBody,
    Problem,
    ProfileBody,
    Profiles,
    SwitchBody,
    Switches,
    UnreadFile,
)
from mahavishnu.operations.ai.site import Environments

LAST = 10  # switches that a state tells


def find_profiles(environments: Environments, _request: ListLlms) -> Profiles:
    """Return the profiles, who uses them, and what shared ones lack here."""
    site, profiles = environments.site, environments.profiles
    statuses = look(site, profiles, site.journal.read())
    return Profiles(
        profiles=[_profile(site, each, statuses) for each in profiles.values()],
        unusable=environments.own.unusable,
        clients=[_client(each) for each in statuses],
        missing=[missing_body(each) for each in shared_missing(environments.loaded, site)],
        notes=environments.notes,
    )


def _profile(site: Site, profile: Profile, statuses: tuple[ClientStatus, ...]) -> ProfileBody:
    users = (each.client for each in statuses if each.profile == profile.name)
    return ProfileBody.like(
        profile,
        protocols=list(profile.endpoints),
        key=None if profile.auth == "native" or profile.key is None else str(profile.key),
        key_state=key_state(site, profile),
        used_by=list(dict.fromkeys(users)),
    )


def missing_body(lack: MissingRequirement) -> MissingBody:
    """Return what is shown of something that is missing here."""
    return MissingBody.like(lack, profile=lack.profile or None, hint=lack.hint or None)


def find_state(environments: Environments, _request: LlmStatus) -> LlmState:
    """Return what each client uses, and what was switched lately."""
    site = environments.site
    history = site.journal.read()
    statuses = look(site, environments.profiles, history)
    return LlmState(
        bound=_bound(site),
        clients=[_client(each) for each in statuses],
        interrupted=[entry.id for entry in history.open],
        switches=_switches(history, LAST),
    )


def _bound(site: Site) -> Bound | None:
    try:
        found = find_bound(site)
    except (Corrupt, Forbidden) as error:
        return Bound(problem=Problem.of(error))
    return None if found is None else Bound(profile=found.profile, folder=found.folder.path)


def find_history(environments: Environments, limit: int) -> Switches:
    """Return the switches, the latest first."""
    return Switches(switches=_switches(environments.site.journal.read(), limit))


def _switches(history: History, limit: int) -> list[SwitchBody]:
    latest = itertools.islice(reversed((*history.done, *history.open)), limit)
    return [_entry(each, history) for each in latest]


def _entry(entry: JournalEntry, history: History) -> SwitchBody:
    return SwitchBody.like(
        entry,
        clients=[file.client for file in entry.files],
        undone=entry.id in history.undone,
        interrupted=entry in history.open,
    )


def find_changes(environments: Environments) -> Changes:
    """Return what was changed in clients' settings since switches wrote them, and what cannot be read."""
    site = environments.site
    statuses = look(site, {}, site.journal.read())
    return Changes(
        files=[DriftedFile.like(each, **_drifted(each)) for each in statuses if each.drift],
        unread=[
            UnreadFile.like(each, problem=problem)
            for each in statuses
            if (problem := Problem.of(each.problem)) is not None
        ],
    )


def _client(status: ClientStatus) -> ClientBody:
    return ClientBody.like(status, **_drifted(status), problem=Problem.of(status.problem))


def _drifted(status: ClientStatus) -> dict[str, Any]:
    """Return those fields of `DriftedFile` that a status has otherwise."""
    changed = status.changed
    at = None if changed is None else changed.changed_at
    return {
        "drift": [
            DriftBody.like(each, written=plain(each.written), now=plain(each.now))
            for each in status.drift
        ],
        "author": None if changed is None else changed.author,
        "changed_at": None if at is None else at.isoformat(timespec="seconds"),
        "warning": status.warning or None,
    }
