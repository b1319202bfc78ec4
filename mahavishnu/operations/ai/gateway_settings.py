"""The gateway's part of the user's own settings."""

from collections.abc import Mapping

from mahavishnu.base.settings.gateway import GatewaySettings
from mahavishnu.base.settings.sources import Loaded, load_settings
from mahavishnu.gateway.limits import DailyLimit


def own_settings(loaded: Loaded) -> Loaded:
    """Return the user's own settings of now: the gateway serves all folders, and no project's word counts."""
    flags = {key: each.value for key, each in loaded.origins.items() if each.origin == "flag"}
    return load_settings(environ=loaded.environ, folder=loaded.locations.state, flags=flags)


def daily_limits(said: GatewaySettings) -> Mapping[str, DailyLimit]:
    """Return the limits of the day by profile."""
    return {
        name: DailyLimit(each.daily_tokens, each.daily_cost) for name, each in said.limits.items()
    }
