"""Every bound directory, and whether sessions there can go on."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from mahavishnu.ai.bindings import hooks
from mahavishnu.ai.bindings.guard import FindExpected
from mahavishnu.ai.bindings.location import path_in
from mahavishnu.ai.bindings.match import is_same
from mahavishnu.ai.bindings.settings import PROJECT_CLIENT
from mahavishnu.ai.bindings.store import Binding
from mahavishnu.ai.clients.hooks import hooks_of
from mahavishnu.ai.clients.table import ClientName
from mahavishnu.ai.profiles.profile import Profile
from mahavishnu.ai.switching.site import Site
from mahavishnu.ai.switching.status import look_at
from mahavishnu.base.errors import MahavishnuError

# in-force: all stands as it was bound; the others name what has to be mended first.
type BindingState = Literal[
    "in-force", "directory-gone", "profile-gone", "profile-changed", "settings-changed", "unguarded"
]


@dataclass(frozen=True)
class Listed:
    """A binding, how it stands, the clients that run the guard, and notes about it."""

    binding: Binding
    state: BindingState
    guarded: tuple[ClientName, ...]
    notes: tuple[str, ...]


def list_bindings(
    site: Site,
    rows: Sequence[Binding],
    *,
    guard: Path,
    current: FindExpected,
    profiles: Mapping[str, Profile],
) -> list[Listed]:
    """Return them by path; `current` gives what the profile of a binding says now, or raises."""
    guarded, missing = _find_guarded(site, guard)
    found = []
    for row in sorted(rows, key=lambda each: each.folder.path):
        told = [*_find_faults(site, row, current, profiles), *missing]
        state: BindingState = told[0][0] if told else "in-force"
        found.append(Listed(row, state, guarded, tuple(text for _, text in told)))
    return found


def _find_guarded(
    site: Site, guard: Path
) -> tuple[tuple[ClientName, ...], list[tuple[BindingState, str]]]:
    guarded: list[ClientName] = []
    missing: list[tuple[BindingState, str]] = []
    for name in hooks.clients_there(site):
        lines = hooks.guard_lines(name, guard, path_in(site.state))
        try:
            found = hooks.find_guard(site, name)
            placed = {(each.event, each.command) for each in found.hooks}
            there, trusted = placed.issuperset(lines), hooks_of(name).is_trusted(found)
        except MahavishnuError as error:
            missing.append(("unguarded", f"{name}: {error.message}"))
            continue
        if there and trusted:
            guarded.append(name)
        else:
            why = "does not run the guard" if not there else "was not told to trust the guard"
            missing.append(("unguarded", f"{name} {why}; bind the directory once more"))
    return tuple(guarded), missing


def _find_faults(
    site: Site, row: Binding, current: FindExpected, profiles: Mapping[str, Profile]
) -> Iterator[tuple[BindingState, str]]:
    folder = Path(row.folder.path)
    if not folder.is_dir():
        yield "directory-gone", "it is not there; one that was renamed is still bound"
        return
    if not is_same(folder, row.folder):
        yield "in-force", "another directory has taken its place, and is bound"
    try:
        if current(row) != row.clients:
            yield "profile-changed", "the profile was changed since; bind the directory once more"
    except MahavishnuError as error:
        yield "profile-gone", error.message
        return
    yield from (("unguarded", each) for each in hooks.find_switched_off(folder))
    if row.settings:
        yield from _find_drift(replace(site, folder=folder), row, profiles)


def _find_drift(
    here: Site, row: Binding, profiles: Mapping[str, Profile]
) -> Iterator[tuple[BindingState, str]]:
    try:
        seen = look_at(here, PROJECT_CLIENT, "project", profiles, here.journal.read())
    except MahavishnuError as error:
        yield "settings-changed", error.message
        return
    if seen.problem is not None:
        yield "settings-changed", seen.problem.message
    elif seen.drift or seen.profile != row.profile:
        yield "settings-changed", f"{seen.path} is not as it was written"
