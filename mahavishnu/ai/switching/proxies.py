"""What keeps a key from a client that asks this machine: a proxy, as its user's settings and the environment tell."""

from collections.abc import Iterator, Mapping

from mahavishnu.ai.clients.requests import require_no_proxy
from mahavishnu.ai.clients.table import CLIENTS, ClientName
from mahavishnu.ai.profiles.delivery import choose_mode
from mahavishnu.ai.profiles.profile import Profile
from mahavishnu.ai.secrets.binding import origin_of
from mahavishnu.ai.switching.plan import Scope
from mahavishnu.ai.switching.site import Site
from mahavishnu.base.errors import Forbidden, MahavishnuError, UsageError


def proxy_notes(site: Site, profile: Profile) -> Iterator[str]:
    """Yield what to say of each client that is there and can use the profile."""
    for name, client in CLIENTS.items():
        protocol = profile.protocol_for(name)
        if protocol is not None and site.has(name):
            asks = choose_mode(profile, client, raw=False) == "helper"
            yield from proxy_note(site, name, profile.endpoints[protocol], asks=asks)


def proxy_note(
    site: Site, name: ClientName, url: str, *, asks: bool, scope: Scope = "user"
) -> list[str]:
    """
    Return a note where requests to `url` would go through a proxy; `asks`: the client asks for its key.

    The settings of the project count too, unless they are the ones that lead to `url`.
    """
    try:
        if origin_of(url).scheme == "https":
            return []
        environ = _environment(site, name)
        require_no_proxy(url, name, environ)
        check_project = CLIENTS[name].launch.check_project
        if check_project and asks and scope == "user":
            check_project(url, folder=site.folder, environ=environ)
    except UsageError:  # another client's sign-in, or what is no address
        return []
    except Forbidden as error:
        kept = " mahavishnu-key gives no key then." if asks else ""
        return [f"{CLIENTS[name].title}: {error.message}{kept} {error.hint}"]
    return []


def _environment(site: Site, name: ClientName) -> Mapping[str, str]:
    """Return the variables that count for a client, of its settings and of those that are exported."""
    if CLIENTS[name].settings_lead is None:
        return site.environ
    try:
        found = site.open(CLIENTS[name], site.path_of(name, "user")).read().get(("env",))
    except MahavishnuError:  # what reads them for more says so
        found = None
    settings = {key: str(each) for key, each in found.items()} if isinstance(found, dict) else {}
    if CLIENTS[name].settings_lead:
        return {**site.environ, **settings}
    return {**settings, **site.environ}
