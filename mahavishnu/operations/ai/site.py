"""Where AI clients are switched: from the settings in force to a `Site`."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from mahavishnu.ai.profiles.profile import Profile
from mahavishnu.ai.secrets.resolve import find_identity
from mahavishnu.ai.switching.site import Site
from mahavishnu.base.errors import MahavishnuError
from mahavishnu.base.paths import working_folder
from mahavishnu.base.settings.sources import Loaded, load_settings
from mahavishnu.operations.ai.clients import chosen_clients, key_program, require_trusted
from mahavishnu.operations.ai.gateway_settings import own_settings
from mahavishnu.operations.ai.profiles import Own, find_profile, known_profiles, read_own
from mahavishnu.operations.ai.secret_settings import cloud_stores, require_declared
from mahavishnu.operations.ai.team_profiles import accept, read_shared, require_accepted


def open_site(loaded: Loaded, *, folder: Path | None = None) -> Site:
    """
    Return the surroundings of a switch in `folder`, by default the working one; nothing is made.

    What routes and failover need is from the user's own settings: it counts in all folders. Of settings
    that were broken since `loaded` was read, that counts which was in force.
    """
    try:
        own = own_settings(loaded)
    except MahavishnuError:
        own = loaded
    return Site(
        environ=loaded.environ,
        state=loaded.locations.state,
        folder=folder or working_folder(),
        helper=key_program(),
        identity=find_identity(loaded.environ, loaded.locations),
        clients=chosen_clients(loaded),
        stores=lambda: cloud_stores(loaded),
        fallback=lambda: find_fallback(own),
        gateway=f"http://127.0.0.1:{own.settings.gateway.port}",
        in_gateway=lambda profile: known_profiles(own).get(profile.name) == profile,
    )


def find_fallback(loaded: Loaded) -> tuple[Profile, ...]:
    """Return the profiles that follow one that fails, in order; not one that is unknown, or has another address now."""
    names = loaded.settings.ai_environments.fallback
    known = known_profiles(loaded) if names else {}
    found = [known[name] for name in dict.fromkeys(names) if name in known]
    return tuple(each for each in found if _is_accepted(loaded, each))


def _is_accepted(loaded: Loaded, profile: Profile) -> bool:
    try:
        require_accepted(loaded, profile)
    except MahavishnuError:
        return False
    return True


def find_wanted(loaded: Loaded, name: str) -> Profile:
    """
    Return the profile of a switch, which may be made; a dry run asks the same, so that it tells the same.

    The project is asked about first: a profile that its settings have is not known until they are
    trusted. A client's own sign-in needs no key of ours, and stays the way back where one is missing.

    Raises:
        MahavishnuError: as `require_trusted`, `find_profile`, `require_accepted` and `require_declared`.
    """
    require_trusted(loaded)
    profile = find_profile(loaded, name)
    require_accepted(loaded, profile)
    if profile.auth != "native":
        require_declared(loaded)
    return profile


class Environments:
    """The profiles and AI clients of some settings, in a folder: by default the working one."""

    def __init__(self, loaded: Loaded, *, folder: Path | None = None) -> None:
        self.loaded = loaded
        self._folder = folder

    @classmethod
    def outside_projects(cls, loaded: Loaded) -> "Environments":
        """
        Return what the settings say now, for a process that lives long: its environment is that of its
        start, and the folder in which that was is no project of anybody's.
        """
        nowhere = loaded.locations.state
        return cls(load_settings(environ=loaded.environ, folder=nowhere), folder=nowhere)

    @cached_property
    def site(self) -> Site:
        """The surroundings of a switch."""
        return open_site(self.loaded, folder=self._folder)

    @property
    def own(self) -> Own:
        """The user's own profiles."""
        return read_own(self.loaded)

    @property
    def profiles(self) -> Mapping[str, Profile]:
        """All profiles by name."""
        return known_profiles(self.loaded)

    @property
    def notes(self) -> list[str]:
        """What keeps profiles from being listed, or makes them other than they say."""
        shared = read_shared(self.loaded)
        unusable = (*shared.unread.values(), *shared.broken.values())
        notes = [*self.own.told, *(each.message for each in unusable)]
        if self.loaded.untrusted is not None:
            notes.append(f"The settings of {self.loaded.untrusted} are not trusted, and not read.")
        return notes

    def find_wanted(self, name: str) -> Profile:
        """Return the profile of a switch; raises as the function of this name."""
        return find_wanted(self.loaded, name)

    def accept(self, profile: Profile) -> None:
        """Note where a shared profile leads, which is used now."""
        accept(self.loaded, profile)

    def accept_fallback(self) -> None:
        """Note where the shared profiles of the fallback lead, which may be used from now on."""
        own = own_settings(self.loaded)
        for each in find_fallback(own):
            accept(own, each)

    def require_trusted(self) -> None:
        """Refuse to write where a project is not trusted."""
        require_trusted(self.loaded)
