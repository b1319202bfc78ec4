"""What a profile asks of each client, as a binding keeps it. No key is in it, only its reference."""

from collections.abc import Mapping
from pathlib import Path

from mahavishnu.ai.bindings.store import Expected
from mahavishnu.ai.clients.table import CLIENTS
from mahavishnu.ai.profiles.delivery import deliver
from mahavishnu.ai.profiles.profile import Profile
from mahavishnu.ai.switching.switch import why_not


def expected_of(profile: Profile, *, helper: Path) -> Mapping[str, Expected]:
    """Return it by client, without those that the profile is not for."""
    found: dict[str, Expected] = {}
    for name, client in CLIENTS.items():
        if why_not(profile, client, "user"):
            continue
        delivery = deliver(profile, client.way, helper=helper)
        native = delivery.mode == "native"
        found[name] = Expected(
            delivery.protocol,
            delivery.url,
            key="" if native or profile.key is None else str(profile.key),
            variable="" if native else delivery.variable,
            native=native,
        )
    return found
