"""What a profile needs and this machine does not have, named one by one; no key is asked for."""

from dataclasses import dataclass

from mahavishnu.ai.clients.table import CLIENTS, ClientName
from mahavishnu.ai.profiles.profile import Profile
from mahavishnu.ai.secrets.scheme import What
from mahavishnu.ai.secrets.table import scheme_of
from mahavishnu.ai.switching.site import Site
from mahavishnu.base.errors import MahavishnuError


@dataclass(frozen=True)
class MissingRequirement:
    """One thing that is not here; `profile` is empty where it is not about one."""

    profile: str
    what: What
    message: str
    hint: str = ""
    code: str = ""
    exit_code: int = 0


def find_missing_requirements(site: Site, profile: Profile) -> list[MissingRequirement]:
    """Return what keeps this profile from being used here, as far as a look tells."""
    found = [
        MissingRequirement(profile.name, "client", text, "Install it.", "ai.client_missing")
        for text in _missing_clients(site, profile)
    ]
    if profile.auth == "native" or profile.key is None:
        return found
    for what, check in scheme_of(profile.key.scheme).requirements(profile.key, site):
        try:
            check()
        except MahavishnuError as error:
            return [*found, missing_requirement(profile.name, what, error)]
    return found


def missing_requirement(profile: str, what: What, error: MahavishnuError) -> MissingRequirement:
    """Return the requirement that an error describes."""
    return MissingRequirement(
        profile, what, error.message, error.hint or "", error.code, error.exit_code
    )


def _missing_clients(site: Site, profile: Profile) -> list[str]:
    """Return what to say of clients; where nobody named any, one that can use it is enough."""
    able: list[ClientName] = [name for name in CLIENTS if profile.protocol_for(name)]
    gone = [name for name in able if not site.has(name)]
    if profile.clients is not None:
        return [f"{CLIENTS[name].title} is not installed." for name in gone]
    if len(gone) < len(able):
        return []
    return [f"None of its clients is installed: {', '.join(CLIENTS[name].title for name in able)}."]
