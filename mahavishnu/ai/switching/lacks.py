"""What a profile needs and this machine does not have, named one by one; no key is asked for."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

from mahavishnu.ai.clients.table import CLIENTS, ClientName
from mahavishnu.ai.profiles.profile import Profile
from mahavishnu.ai.secrets.decrypt import PROGRAMS, find_program
from mahavishnu.ai.secrets.in_file import find_file, read_private, recognise
from mahavishnu.ai.secrets.in_keyring import no_library
from mahavishnu.ai.secrets.oneiric.stores import provider_of, require_installed
from mahavishnu.ai.secrets.reference import Reference
from mahavishnu.ai.secrets.resolve import require_there
from mahavishnu.ai.switching.site import Site
from mahavishnu.base.errors import MahavishnuError

type What = Literal["key", "client", "extra", "program", "store", "place", "profile"]


@dataclass(frozen=True)
class Lack:
    """One thing that is not here; `profile` is empty where it is not about one."""

    profile: str
    what: What
    message: str
    hint: str = ""
    code: str = ""
    exit_code: int = 0


def find_lacks(site: Site, profile: Profile) -> list[Lack]:
    """Return what keeps this profile from being used here, as far as a look tells."""
    found = [
        Lack(profile.name, "client", text, "Install it.", "ai.client_missing")
        for text in _missing_clients(site, profile)
    ]
    if profile.auth == "native" or profile.key is None:
        return found
    for what, check in _CHECKS[profile.key.scheme]:
        try:
            check(site, profile.key)
        except MahavishnuError as error:
            return [*found, lack_of(profile.name, what, error)]
    return found


def lack_of(profile: str, what: What, error: MahavishnuError) -> Lack:
    """Return the lack that an error describes."""
    return Lack(profile, what, error.message, error.hint or "", error.code, error.exit_code)


def _missing_clients(site: Site, profile: Profile) -> list[str]:
    """Return what to say of clients; where nobody named any, one that can use it is enough."""
    able: list[ClientName] = [name for name in CLIENTS if profile.protocol_for(name)]
    gone = [name for name in able if not site.has(name)]
    if profile.clients is not None:
        return [f"{CLIENTS[name].title} is not installed." for name in gone]
    if len(gone) < len(able):
        return []
    return [f"None of its clients is installed: {', '.join(CLIENTS[name].title for name in able)}."]


def _key_is_there(site: Site, key: Reference) -> None:
    require_there(key, environ=site.environ, identity=site.identity, stores=site.stores)


def _keyring_is_there(_site: Site, _key: Reference) -> None:
    if find_spec("keyring") is None:
        raise no_library()


def _program_is_there(site: Site, key: Reference) -> None:
    kind = recognise(read_private(find_file(key, site.environ)))
    if kind is not None:
        find_program(PROGRAMS[kind], site.environ)


type _Check = tuple[What, Callable[[Site, Reference], object]]

# A keyring may ask to be unlocked, and a cloud takes its time: those are not asked for the key.
_CHECKS: dict[str, tuple[_Check, ...]] = {
    "env": (("key", _key_is_there),),
    "file": (("key", _key_is_there), ("program", _program_is_there)),
    "keyring": (("extra", _keyring_is_there),),
    "oneiric": (
        ("store", lambda site, key: site.stores().require(provider_of(key))),
        ("extra", lambda _, __: require_installed()),
    ),
}
