"""What is bound, and what a profile asks of each client there, for commands: their errors say what to do."""

from collections.abc import Mapping
from pathlib import Path

from mahavishnu.ai.bindings.location import path_in
from mahavishnu.ai.bindings.store import Bindings, Unreadable, read_bindings
from mahavishnu.ai.clients.facts import Expected
from mahavishnu.ai.clients.table import CLIENTS
from mahavishnu.ai.profiles.delivery import deliver
from mahavishnu.ai.profiles.profile import Profile
from mahavishnu.ai.switching.site import Site
from mahavishnu.ai.switching.switch import why_not
from mahavishnu.base.errors import Corrupt


def load_bindings(site: Site) -> Bindings:
    """
    Return what is bound.

    Raises:
        Corrupt: `ai.directories_damaged`.
    """
    path = path_in(site.state)
    try:
        return read_bindings(path)
    except Unreadable as error:
        raise Corrupt(
            f"{path} and its copy cannot be read: nobody can tell which directories are bound.",
            hint="Restore it, or start over: mahavishnu ai unbind --all",
            code="ai.directories_damaged",
        ) from error


def expected_of(profile: Profile, *, helper: Path) -> Mapping[str, Expected]:
    """Return it by client, without those that the profile is not for; of a key its reference."""
    found: dict[str, Expected] = {}
    for name, client in CLIENTS.items():
        if why_not(profile, client, "user"):
            continue
        delivery = deliver(profile, client, helper=helper)
        native = delivery.mode == "native"
        found[name] = Expected(
            delivery.protocol,
            delivery.url,
            key="" if native or profile.key is None else str(profile.key),
            variable="" if native else delivery.variable,
            native=native,
        )
    return found
