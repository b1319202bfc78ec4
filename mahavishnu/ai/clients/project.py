"""Which folder is the project that somebody works in, and that its settings stay inside."""

import itertools
from collections.abc import Mapping
from pathlib import Path

from mahavishnu.ai.clients.settings import home
from mahavishnu.base.errors import Forbidden, UsageError


def find_project(folder: Path, environ: Mapping[str, str], settings: Path) -> Path:
    """
    Return the project that a client started in `folder` works in; `settings` is its `project_file`.

    That is the nearest folder up to the root of the repository that has the folder of these settings, else that
    root, and without a repository `folder` itself.

    Raises:
        UsageError: `ai.no_project`; the settings in the home are the user's, not a project's.
    """
    users, start = home(environ).resolve(), folder.resolve()
    above = itertools.takewhile(lambda each: each != users, (start, *start.parents))
    within = _up_to_root(list(above))
    if not within:
        raise UsageError(
            "Your home folder is not a project.",
            hint="Go to the project's folder, or use --scope user.",
            code="ai.no_project",
        )
    return next((each for each in within if (each / settings.parent).is_dir()), within[-1])


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
