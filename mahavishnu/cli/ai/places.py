"""Where clients are by the user's settings, and whether they may be touched."""

from mahavishnu.ai_env import places
from mahavishnu.ai_env.profiles import ClientName
from mahavishnu.environments.clients import chosen_clients
from mahavishnu.settings.sources import Loaded


def place_of(loaded: Loaded, client: ClientName) -> places.Place:
    """Return where a client is."""
    return places.find_place(client, loaded.environ, chosen_clients(loaded)[client].path)


def is_enabled(loaded: Loaded, client: ClientName) -> bool:
    """Tell whether the user wants the client to be configured."""
    return chosen_clients(loaded)[client].enabled


def require_enabled(loaded: Loaded, client: ClientName) -> None:
    """Refuse to change a client that the user does not want to be configured."""
    places.require_enabled(client, enabled=is_enabled(loaded, client))
