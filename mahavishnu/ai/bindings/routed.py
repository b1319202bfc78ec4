"""
What a client that goes through the gateway has to use in a bound directory: the gateway, and a route to its profile.

Standard library only: the guard asks at every prompt. A route with fallbacks is none to that profile.
"""

from pathlib import Path

from mahavishnu.ai.clients.facts import Expected
from mahavishnu.ai.routes.routes import Route, read_routes, routes_in, tokens_in
from mahavishnu.base.errors import MahavishnuError

VARIABLE = "MAHAVISHNU_KEY_GATEWAY"


def find_route(file: Path, client: str) -> Route | None:
    """Return the route of a client; `file` is that of the bindings. None too where the routes cannot be read."""
    try:
        return read_routes(routes_in(file.parent.parent)).get(client)
    except MahavishnuError:
        return None


def by_route(file: Path, route: Route, expected: Expected) -> Expected:
    """Return what has to be in the place of the profile's own address and key."""
    token = tokens_in(file.parent.parent) / route.client
    return Expected(
        expected.protocol, route.url, key=f"gateway:{token}", variable=VARIABLE, native=False
    )
