"""Where commands of `mahavishnu ai` work: from the settings in force to a `Site`."""

import shutil
import sys
from pathlib import Path

from mahavishnu.ai_env.secrets.helper import PROGRAM
from mahavishnu.ai_env.secrets.resolve import find_identity
from mahavishnu.ai_env.site import ClientSettings, Site
from mahavishnu.cli.ai.known import chosen_clients
from mahavishnu.errors import NotFound
from mahavishnu.settings.sources import Loaded


def open_site(loaded: Loaded) -> Site:
    """Return the surroundings of a switch; nothing is made."""
    return Site(
        environ=loaded.environ,
        state=loaded.locations.state,
        folder=Path.cwd(),
        helper=find_helper(),
        identity=find_identity(loaded.environ, loaded.locations),
        clients={
            name: ClientSettings(enabled=each.enabled, path=each.config_path)
            for name, each in chosen_clients(loaded).items()
        },
    )


def find_helper() -> Path:
    """
    Return the whole path of `mahavishnu-key`, which stands beside the interpreter that runs this.

    Raises:
        NotFound: `secret.no_helper`.
    """
    beside = Path(sys.executable).with_name(PROGRAM)
    if beside.exists():
        return beside
    found = shutil.which(PROGRAM)
    if found is None:
        raise NotFound(
            f"{PROGRAM}, which clients are to ask for keys, is not installed beside this program.",
            hint="Install Mahavishnu again.",
            code="secret.no_helper",
        )
    return Path(found).absolute()
