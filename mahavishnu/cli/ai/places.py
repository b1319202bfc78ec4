"""Where clients are by the user's settings, and whether they may be touched."""

from pathlib import Path

from mahavishnu.ai_env.places import TITLES, Place, find_place
from mahavishnu.ai_env.profiles import ClientName
from mahavishnu.environments.known import chosen_clients
from mahavishnu.errors import UsageError
from mahavishnu.settings.sources import Loaded


def lock_folder(loaded: Loaded) -> Path:
    """Return the folder of the locks by which commands change other programs' files in turns."""
    return loaded.locations.state / "ai" / "locks"


def place_of(loaded: Loaded, client: ClientName) -> Place:
    """Return where a client is."""
    return find_place(client, loaded.environ, chosen_clients(loaded)[client].config_path)


def is_enabled(loaded: Loaded, client: ClientName) -> bool:
    """Tell whether the user wants the client to be configured."""
    return chosen_clients(loaded)[client].enabled


def require_enabled(loaded: Loaded, client: ClientName) -> None:
    """
    Refuse to change a client that the user does not want to be configured.

    Raises:
        UsageError: `ai.client_disabled`.
    """
    if not is_enabled(loaded, client):
        raise UsageError(
            f"{TITLES[client]} is switched off in the settings.",
            hint=f"Set ai_environments.{client.replace('-', '_')}.enabled to true.",
            code="ai.client_disabled",
        )
