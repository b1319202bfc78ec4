"""The gateway as a service: off until a client goes through it."""

import sys

from mahavishnu.ai.routes.routes import read_routes, routes_in
from mahavishnu.base.errors import MahavishnuError
from mahavishnu.base.settings.sources import Loaded
from mahavishnu.gateway.places import HEALTH, HOST, PARTING_S
from mahavishnu.operations.ai.gateway_settings import own_settings
from mahavishnu.operations.ai.profiles import known_profiles
from mahavishnu.services.units.unit import HealthCheck, Unit

# What it sees of the daemon's environment besides the variables with keys of profiles: the way to providers.
_SLACK_S = 5.0
_PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY")
_PASSED_ON = (
    *_PROXIES,
    *(name.lower() for name in _PROXIES),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "MAHAVISHNU_AGE_IDENTITY", "DBUS_SESSION_BUS_ADDRESS"),
)


def find_gateway(loaded: Loaded) -> Unit:
    """Return the unit; it gets the variables with the keys of profiles, by reference."""
    own = own_settings(loaded)
    said, environ = own.settings.gateway, loaded.environ
    keys = {each.key.variable for each in known_profiles(own).values() if each.key is not None}
    passed = [f"{name}=env:{name}" for name in sorted(keys) if environ.get(name)]
    passed += [f"{name}={environ[name]}" for name in _PASSED_ON if environ.get(name)]
    if home := environ.get("MAHAVISHNU_HOME"):
        passed.append(f"MAHAVISHNU_HOME={home}")
    return Unit(
        name="gateway",
        command=(sys.executable, "-m", "mahavishnu", "gateway", "serve", "--port", str(said.port)),
        environment=tuple(passed),
        health=HealthCheck(http=f"http://{HOST}:{said.port}{HEALTH}"),
        grace_s=said.drain_timeout + PARTING_S + _SLACK_S,
        enabled=_is_used(loaded) if said.enabled is None else said.enabled,
    )


def _is_used(loaded: Loaded) -> bool:
    try:
        return bool(read_routes(routes_in(loaded.locations.state)))
    except MahavishnuError:  # `gateway routes` says so
        return True
