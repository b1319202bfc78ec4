"""What the settings say of AI clients, and whether they may be used; the programs and locks that clients are given."""

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from mahavishnu.ai.clients import places
from mahavishnu.ai.clients.key_command import PROGRAM
from mahavishnu.ai.clients.table import CLIENTS, ClientName
from mahavishnu.ai.switching.site import ClientChoice, locks_of
from mahavishnu.base.errors import Forbidden, MahavishnuError, NotFound, UsageError
from mahavishnu.base.settings.files import read_settings
from mahavishnu.base.settings.sources import Loaded
from mahavishnu.base.settings.tree import ClientSettings
from mahavishnu.base.settings.trust import PROJECT_FILES
from mahavishnu.operations.ai.profiles import read_own
from mahavishnu.operations.ai.secret_settings import cloud_stores
from mahavishnu.operations.ai.team_profiles import read_shared

_GUARDED = ("ai_environments", "secrets")


def chosen_clients(loaded: Loaded) -> Mapping[ClientName, ClientChoice]:
    """Return what the settings say of each client; `~/` is the home of the environment."""
    section = loaded.settings.ai_environments
    sections: dict[ClientName, ClientSettings] = {
        name: getattr(section, name.replace("-", "_")) for name in CLIENTS
    }
    return {
        name: ClientChoice(each.enabled, _place(loaded, each.config_path))
        for name, each in sections.items()
    }


def place_of(loaded: Loaded, client: ClientName) -> places.Place:
    """Return where a client is."""
    return places.find_place(client, loaded.environ, chosen_clients(loaded)[client].path)


def require_enabled(loaded: Loaded, client: ClientName) -> None:
    """Refuse to change a client that the user does not want to be configured."""
    places.require_enabled(client, enabled=chosen_clients(loaded)[client].enabled)


def require_trusted(loaded: Loaded) -> None:
    """
    Refuse where a project sets endpoints, clients or keys and is not trusted; before writing.

    Raises:
        Forbidden: `settings.untrusted`.
    """
    if loaded.untrusted is None:
        return
    for name in PROJECT_FILES:
        path = loaded.untrusted / "settings" / name
        if _speaks_of_environments(path):
            raise Forbidden(
                f"{path} sets AI environments or keys, and its folder is not trusted.",
                hint=f"Read it; if it is yours: mahavishnu ai trust {loaded.untrusted}",
                code="settings.untrusted",
            )


def lock_folder(loaded: Loaded) -> Path:
    """Return the folder of the locks by which commands change other programs' files in turns."""
    return locks_of(loaded.locations.state)


def key_program() -> Path:
    """
    Return the absolute path of `mahavishnu-key`, which clients are given.

    Raises:
        NotFound: `ai.no_helper`.
    """
    beside = Path(sys.executable).with_name(PROGRAM)
    found = beside if beside.exists() else Path(shutil.which(PROGRAM) or "")
    if not found.is_absolute():
        raise NotFound(
            f"{PROGRAM} is neither beside the Python that runs this, nor on the PATH.",
            hint="Install Mahavishnu again.",
            code="ai.no_helper",
        )
    return found


def _speaks_of_environments(path: Path) -> bool:
    try:
        keys = read_settings(path)
    except MahavishnuError:
        return True  # what cannot be read may say anything
    return any(key.partition(".")[0] in _GUARDED for key in keys)


def _place(loaded: Loaded, path: str | None) -> Path | None:
    if path is None:
        return None
    home = loaded.environ.get("HOME")
    place = Path(home, path[2:]) if home and path.startswith("~/") else Path(path)
    if not place.is_absolute():
        raise UsageError(
            "The config_path of a client is neither absolute nor begins with ~/.",
            hint="Write it in full.",
            code="ai.config_path",
        )
    return place


def check_environments(loaded: Loaded) -> list[str]:
    """Raise what is wrong with clients and stores; returns what is to be known of profiles that can be used."""
    chosen_clients(loaded)
    cloud_stores(loaded)
    shared = read_shared(loaded)
    problems = (*shared.unread.values(), *shared.broken.values())
    told = [f"Shared profiles: {each.message}" for each in problems]
    return [*told, *read_own(loaded).notes]
