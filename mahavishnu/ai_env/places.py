"""Where each AI client keeps its settings, and whether the user has it. Nothing is written here."""

import itertools
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mahavishnu.ai_env.profiles import ClientName
from mahavishnu.errors import NotFound, UsageError

TITLES: Mapping[ClientName, str] = {
    "claude-code": "Claude Code", "codex": "Codex", "qwen": "Qwen Code",
}  # fmt: skip
_PROGRAMS = {"claude-code": "claude", "codex": "codex", "qwen": "qwen"}
_FOLDERS = {"claude-code": ".claude", "codex": ".codex", "qwen": ".qwen"}
_VARIABLES = {"claude-code": "CLAUDE_CONFIG_DIR", "codex": "CODEX_HOME"}
_SETTINGS = {"claude-code": "settings.json", "codex": "config.toml", "qwen": "settings.json"}


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
    moved = environ.get(_VARIABLES.get(client, ""), "")
    folder = Path(moved).absolute() if moved else find_home(environ) / _FOLDERS[client]
    file = folder / _SETTINGS[client] if settings is None else settings
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
            f" {_PROGRAMS[place.client]} on PATH.",
            hint="Install it and start it once.",
            code="ai.client_missing",
        )


def find_home(environ: Mapping[str, str]) -> Path:
    """
    Return the user's home.

    Raises:
        NotFound: `ai.no_home`.
    """
    home = environ.get("HOME", "")
    if not home.startswith("/"):
        raise NotFound(
            "HOME does not say where your home is.",
            hint="Set it to a full path.",
            code="ai.no_home",
        )
    return Path(home)


def find_project(folder: Path, environ: Mapping[str, str]) -> Path:
    """
    Return the folder whose `.claude` Claude Code reads when it is started in `folder`.

    That is the nearest one up to the root of the repository that has a `.claude`, else that root, and
    without a repository `folder` itself.

    Raises:
        UsageError: `ai.no_project`; what the home has in `.claude` is the user's, not a project's.
    """
    home, start = find_home(environ).resolve(), folder.resolve()
    above = itertools.takewhile(lambda each: each != home, (start, *start.parents))
    within = _up_to_root(list(above))
    if not within:
        raise UsageError(
            "Your home is no project.",
            hint="Go to the project's folder, or use --scope user.",
            code="ai.no_project",
        )
    return next((each for each in within if (each / ".claude").is_dir()), within[-1])


def _up_to_root(folders: list[Path]) -> list[Path]:
    """Return the folders up to the root of the repository; only the first where there is none."""
    for number, each in enumerate(folders, start=1):
        if (each / ".git").exists():
            return folders[:number]
    return folders[:1]


def _find_program(client: ClientName, environ: Mapping[str, str]) -> Path | None:
    # What PATH finds in the working folder may be anybody's.
    whole = environ.get("PATH", "").split(os.pathsep)
    found = shutil.which(
        _PROGRAMS[client], path=os.pathsep.join(each for each in whole if each.startswith("/"))
    )
    return Path(found) if found else None
