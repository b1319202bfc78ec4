"""The profiles that there are, for all commands of `mahavishnu ai`: the user's own, a team's and the shipped ones."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from mahavishnu.ai.profiles.presets import SHIPPED
from mahavishnu.ai.profiles.profile import (
    Profile,
    ProfileEntry,
    doubtful_hosts,
    is_of_early_sample,
    of_early_sample,
    read_profile,
)
from mahavishnu.ai.profiles.profile_files import find_files, folder_of
from mahavishnu.ai.switching.requirements import (
    MissingRequirement,
    find_missing_requirements,
    missing_requirement,
)
from mahavishnu.ai.switching.site import Site
from mahavishnu.base.errors import MahavishnuError, NotFound, UsageError
from mahavishnu.base.settings.files import place_of
from mahavishnu.base.settings.profiles import SECTION
from mahavishnu.base.settings.sources import Loaded
from mahavishnu.operations.ai.profile_entries import read_entry
from mahavishnu.operations.ai.results import UnusableProfile
from mahavishnu.operations.ai.team_profiles import read_shared


def known_profiles(loaded: Loaded) -> Mapping[str, Profile]:
    """
    Return all profiles by name: the user's own first, then those of the team, then those that are shipped.

    A profile in the settings overrides one in a file of ours, that one a team's, and that
    before what is shipped. What cannot be used is not among them, under its name no other one either:
    `read_own` and `read_shared` tell.
    """
    own, shared = read_own(loaded), read_shared(loaded)
    known = dict(own.profiles)
    unusable = set(own.broken)
    for others, broken in ((shared.profiles, shared.broken), (SHIPPED, {})):
        unusable |= broken.keys()
        known |= {
            name: each
            for name, each in others.items()
            if name not in known and name not in unusable
        }
    return known


def find_profile(loaded: Loaded, name: str) -> Profile:
    """
    Return the profile of this name.

    Raises:
        NotFound: `ai.unknown_profile`, with the nearest names.
        MahavishnuError: what is wrong with the profile of this name, the user's own or a shared one.
    """
    known = known_profiles(loaded)
    if name in known:
        return known[name]
    if (problem := read_own(loaded).broken.get(name)) is not None:
        raise problem
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


@dataclass(frozen=True)
class Own:
    """
    The user's own profiles by name, sorted: of the settings, and of our files.

    `broken` has those that cannot be used, sorted, with what is wrong; `notes` what is to be known of others.
    """

    profiles: Mapping[str, Profile]
    broken: Mapping[str, MahavishnuError]
    notes: tuple[str, ...]

    @property
    def told(self) -> tuple[str, ...]:
        """What the user should know, also of those that cannot be used."""
        return (*self.notes, *self.reasons)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why each of those that cannot be used cannot."""
        return tuple(
            f"The profile {name} cannot be used. {each.message} {each.hint or ''}".rstrip()
            for name, each in self.broken.items()
        )

    @property
    def unusable(self) -> list[UnusableProfile]:
        """What is shown of those that cannot be used."""
        return [UnusableProfile.like(each, profile=name) for name, each in self.broken.items()]


def read_own(loaded: Loaded) -> Own:
    """Return the user's own profiles; what is wrong with one stops no other."""
    entries, broken = _entries(loaded)
    profiles, notes = {}, []
    for name in sorted(entries):
        entry, origin = entries[name]
        base = SHIPPED.get(name)
        try:
            if base is not None and is_of_early_sample(entry, base):
                profiles[name] = of_early_sample(entry, base)
                notes.append(
                    f"{origin}: there is no service at the address of the profile {name}, which early samples"
                    " named; the shipped profile of that name counts."
                )
                continue
            profiles[name] = read_profile(name, entry, origin=origin, base=base)
            notes += notes_on(profiles[name])
        except UsageError as error:
            place = place_of(origin, f"{SECTION}.{name}")
            broken[name] = UsageError(f"{place}: {error.message}", hint=error.hint, code=error.code)
    return Own(profiles, dict(sorted(broken.items())), tuple(notes))


def own_profiles(loaded: Loaded) -> Mapping[str, Profile]:
    """Return the user's own profiles that can be used."""
    return read_own(loaded).profiles


def notes_on(profile: Profile) -> list[str]:
    """Return what the user should know of a profile that can be used all the same."""
    return [
        f"The profile {profile.name}: there is no service at {host}, which early samples named."
        for host in doubtful_hosts(profile)
    ]


def settings_origin(loaded: Loaded, name: str) -> str | None:
    """Return the settings file that sets a profile; None where none does."""
    if name in loaded.wrong_profiles:
        return loaded.wrong_profiles[name].origin
    prefix = f"{SECTION}.{name}."
    origins = {key: each.origin for key, each in loaded.origins.items() if key.startswith(prefix)}
    return next((origin for _, origin in sorted(origins.items())), None)


def _entries(
    loaded: Loaded,
) -> tuple[dict[str, tuple[ProfileEntry, str]], dict[str, MahavishnuError]]:
    """Return entry and origin by name, the settings before files; and what is wrong with other profiles."""
    found: dict[str, tuple[ProfileEntry, str]] = {}
    broken: dict[str, MahavishnuError] = {}
    for name, path in find_files(folder_of(loaded.locations)).items():
        try:
            found[name] = read_entry(path), str(path)
        except MahavishnuError as error:
            broken[name] = error
    for name, each in loaded.settings.ai_environments.llm_profiles.items():
        origin = settings_origin(loaded, name) or "the settings"
        found[name] = ProfileEntry(**msgspec.structs.asdict(each)), origin
        broken.pop(name, None)
    for name, wrong in loaded.wrong_profiles.items():
        found.pop(name, None)
        broken[name] = wrong.problem
    return found, broken


def shared_missing(loaded: Loaded, site: Site) -> list[MissingRequirement]:
    """Return what is missing for the profiles that are shared, those that cannot be read first."""
    shared, known = read_shared(loaded), known_profiles(loaded)
    found = [missing_requirement("", "place", error) for error in shared.unread.values()]
    found += [missing_requirement(name, "profile", error) for name, error in shared.broken.items()]
    for name, profile in shared.profiles.items():
        if known.get(name) == profile:
            found += find_missing_requirements(site, profile)
    return found
