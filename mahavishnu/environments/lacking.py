"""What a team's profiles need and this machine does not have: places, and what each profile wants."""

from mahavishnu.ai_env.lacks import Lack, find_lacks, lack_of
from mahavishnu.ai_env.site import Site
from mahavishnu.environments.known import known_profiles
from mahavishnu.environments.shared import read_shared
from mahavishnu.settings.sources import Loaded


def shared_lacks(loaded: Loaded, site: Site) -> list[Lack]:
    """Return what is missing for the profiles that are shared, those that cannot be read first."""
    shared, known = read_shared(loaded), known_profiles(loaded)
    found = [lack_of("", "place", error) for error in shared.unread.values()]
    found += [lack_of(name, "profile", error) for name, error in shared.broken.items()]
    for name, profile in shared.profiles.items():
        if known.get(name) == profile:
            found += find_lacks(site, profile)
    return found
