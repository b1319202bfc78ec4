"""Where each AI client keeps its settings, and whether the user has it. Nothing is written here."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mahavishnu.ai.clients.table import CLIENTS, ClientName
from mahavishnu.base.errors import NotFound, UsageError


@dataclass(frozen=True)
class Place:
    """A client's own folder and settings file, and its program where PATH leads to one."""

    client: ClientName
    folder: Path
    settings: Path
    program: Path | None

    @property
    def is_there(self) -> bool:
        """Whether the user has this client."""
        return self.folder.is_dir() or self.program is not None


def find_place(
    client: ClientName, environ: Mapping[str, str], settings: Path | None = None
) -> Place:
    """Return where a client is, or would be; `settings` is another place of its settings."""
    file = CLIENTS[client].file(environ) if settings is None else settings
    return Place(client, file.parent, file, _find_program(client, environ))


def require_there(place: Place) -> None:
    """
    Refuse a client that the user does not have; what is not there is never made.

    Raises:
        NotFound: `ai.client_missing`.
    """
    if not place.is_there:
        raise NotFound(
            f"{CLIENTS[place.client].title} is not there: neither {place.folder} nor a program"
            f" {CLIENTS[place.client].program} on PATH.",
            hint="Install it and start it once.",
            code="ai.client_missing",
        )


def require_enabled(client: ClientName, *, enabled: bool) -> None:
    """
    Refuse to change a client that the user does not want to be configured.

    Raises:
        UsageError: `ai.client_disabled`.
    """
    if not enabled:
        raise UsageError(
            f"{CLIENTS[client].title} is switched off in the settings.",
            hint=f"Set ai_environments.{client.replace('-', '_')}.enabled to true.",
            code="ai.client_disabled",
        )


def _find_program(client: ClientName, environ: Mapping[str, str]) -> Path | None:
    found = shutil.which(CLIENTS[client].program, path=search_path(environ))
    return Path(found) if found else None


def search_path(environ: Mapping[str, str]) -> str:
    """Return the whole folders of PATH alone: what it finds in the working folder may be anybody's."""
    folders = environ.get("PATH", "").split(os.pathsep)
    return os.pathsep.join(each for each in folders if each.startswith("/"))
