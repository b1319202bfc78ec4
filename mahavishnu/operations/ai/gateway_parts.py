"""What the gateway process is made with, from the user's own settings."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from mahavishnu.ai.profiles.profile import Profile
from mahavishnu.ai.profiles.profile_files import folder_of
from mahavishnu.ai.secrets.reference import Reference
from mahavishnu.ai.secrets.resolve import find_identity, resolve
from mahavishnu.base.errors import MahavishnuError
from mahavishnu.base.masking import Secret
from mahavishnu.base.settings.gateway import GatewaySettings
from mahavishnu.base.settings.sources import Loaded
from mahavishnu.gateway.provider import Times
from mahavishnu.gateway.server import GatewayLimits
from mahavishnu.gateway.serving import GatewayParts
from mahavishnu.operations.ai.gateway_settings import daily_limits, own_settings
from mahavishnu.operations.ai.profiles import known_profiles
from mahavishnu.operations.ai.secret_settings import own_stores
from mahavishnu.operations.ai.team_profiles import require_accepted, shared_places
from mahavishnu.services.events.journal import EventJournal


def gateway_parts(loaded: Loaded, *, port: int | None = None) -> GatewayParts:
    """Return the parts of the gateway; `port` is another one than the settings say."""
    own = own_settings(loaded)
    said, environ, locations = own.settings.gateway, loaded.environ, loaded.locations

    def files() -> Iterator[Path]:
        yield locations.user_settings
        yield folder_of(locations)
        yield from shared_places(own)

    def read_profiles() -> Mapping[str, Profile]:
        return {each.name: each for each in _usable(own_settings(loaded))}

    def read_key(reference: Reference) -> Secret:
        return resolve(
            reference,
            environ=environ,
            identity=find_identity(environ, locations),
            stores=lambda: own_stores(environ),
            asking=False,
        )

    return GatewayParts(
        state=locations.state,
        port=said.port if port is None else port,
        environ=environ,
        times=Times(
            connect_s=said.connect_timeout, first_s=said.first_timeout, between_s=said.event_timeout
        ),
        limits=_limits(said),
        drain_s=said.drain_timeout,
        journal=EventJournal(locations.state),
        profile_files=files,
        read_profiles=read_profiles,
        resolve=read_key,
    )


def _limits(said: GatewaySettings) -> GatewayLimits:
    return GatewayLimits(
        max_requests=said.max_requests, max_body=said.max_body, daily=daily_limits(said)
    )


def _usable(loaded: Loaded) -> Iterator[Profile]:
    """Yield the profiles that can be used; not a shared one whose address is another than when it was accepted."""
    for profile in known_profiles(loaded).values():
        with suppress(MahavishnuError):
            require_accepted(loaded, profile)
            yield profile
