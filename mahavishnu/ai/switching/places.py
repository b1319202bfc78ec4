"""Where each AI client keeps its settings, and whether the user has it. Nothing is written here."""

import itertools
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mahavishnu.ai.clients.port import home
from mahavishnu.ai.clients.table import CLIENTS
from mahavishnu.ai.profiles.profile import ClientName
from mahavishnu.base.errors import Forbidden, NotFound, UsageError

TITLES: Mapping[ClientName, str] = {name: client.title for name, client in CLIENTS.items()}


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
    """Return where one of `TITLES` is, or would be; `settings` is another place of its settings."""
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
            f"{TITLES[place.client]} is not there: neither {place.folder} nor a program"
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
            f"{TITLES[client]} is switched off in the settings.",
            hint=f"Set ai_environments.{client.replace('-', '_')}.enabled to true.",
            code="ai.client_disabled",
        )


def find_project(folder: Path, environ: Mapping[str, str]) -> Path:
    """
    Return the folder whose `.claude` Claude Code reads when it is started in `folder`.

    That is the nearest one up to the root of the repository that has a `.claude`, else that root, and
    without a repository `folder` itself.

    Raises:
        UsageError: `ai.no_project`; what the home has in `.claude` is the user's, not a project's.
    """
    users, start = home(environ).resolve(), folder.resolve()
    above = itertools.takewhile(lambda each: each != users, (start, *start.parents))
    within = _up_to_root(list(above))
    if not within:
        raise UsageError(
            "Your home is no project.",
            hint="Go to the project's folder, or use --scope user.",
            code="ai.no_project",
        )
    return next((each for each in within if (each / ".claude").is_dir()), within[-1])


def require_inside(path: Path, project: Path) -> Path:
    """
    Return a settings file of a project; a repository may bring links, and none may lead out of it.

    Raises:
        Forbidden: `ai.outside_project`.
    """
    if not path.resolve().is_relative_to(project.resolve()):
        raise Forbidden(
            f"{path} is a link that leads out of the project.",
            hint="Remove the link, or use --scope user.",
            code="ai.outside_project",
        )
    return path


def _up_to_root(folders: list[Path]) -> list[Path]:
    """Return the folders up to the root of the repository; only the first where there is none."""
    for number, each in enumerate(folders, start=1):
        if (each / ".git").exists():
            return folders[:number]
    return folders[:1]


def _find_program(client: ClientName, environ: Mapping[str, str]) -> Path | None:
    found = shutil.which(CLIENTS[client].program, path=search_path(environ))
    return Path(found) if found else None


def search_path(environ: Mapping[str, str]) -> str:
    """Return the whole folders of PATH alone: what it finds in the working folder may be anybody's."""
    folders = environ.get("PATH", "").split(os.pathsep)
    return os.pathsep.join(each for each in folders if each.startswith("/"))
