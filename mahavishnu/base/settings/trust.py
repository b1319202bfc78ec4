"""
A project's `settings/`: where it is, and whether the user has trusted its folder.

It counts only then, because a cloned repository could otherwise send texts and keys elsewhere.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from mahavishnu.base.errors import Corrupt, Forbidden, UsageError
from mahavishnu.base.files import write_atomically
from mahavishnu.base.paths import Locations, private_folder
from mahavishnu.base.settings.files import read_regular

PROJECT_FILES = ("mahavishnu.yaml", "local.yaml")  # the later wins


class Trusted(msgspec.Struct, frozen=True):
    """A folder whose settings count now."""

    trusted: str


def find_project_settings(folder: Path, environ: Mapping[str, str]) -> Path | None:
    """Return the nearest folder at or above `folder`, below the home, that has settings."""
    home = Path(environ["HOME"]).resolve() if environ.get("HOME") else None
    start = folder.resolve()
    for candidate in (start, *start.parents):
        if candidate == home:
            return None
        if any((candidate / "settings" / name).exists() for name in PROJECT_FILES):
            return candidate
    return None


def is_trusted(folder: Path, locations: Locations) -> bool:
    """Tell whether the user has trusted this very folder."""
    return str(folder.resolve()) in _read_trusted(locations)


def trust(folder: Path, locations: Locations) -> Path:
    """Trust the `settings/` of `folder`; returns its resolved path."""
    resolved = folder.resolve()
    if not resolved.is_dir():
        raise UsageError(
            f"{folder} is not a folder.",
            hint="Name the folder that holds the project's settings/.",
            code="settings.not_a_folder",
        )
    known = sorted({*_read_trusted(locations), str(resolved)})
    try:
        private_folder(locations.config)
        _require_own(locations.config, locations.trusted_directories)
        write_atomically(locations.trusted_directories, msgspec.json.encode(known))
    except UnicodeEncodeError as error:
        raise UsageError(
            f"The name of {folder} is not UTF-8.",
            hint="Rename it first.",
            code="settings.not_a_folder",
        ) from error
    except OSError as error:
        raise Forbidden(
            f"{locations.trusted_directories} cannot be written ({error.strerror}).",
            hint="Check the owner and the rights of the folder.",
            code="settings.not_writable",
        ) from error
    return resolved


def _require_own(*paths: Path) -> None:
    """Refuse to write where root would leave its own file in the place of a user's."""
    for path in paths:
        if path.exists() and path.stat().st_uid != os.geteuid():
            raise Forbidden(
                f"{path} belongs to another user.",
                hint="Run as that user, or set MAHAVISHNU_HOME to a place of your own.",
                code="settings.not_writable",
            )


def _read_trusted(locations: Locations) -> list[str]:
    try:
        content = read_regular(locations.trusted_directories)
    except FileNotFoundError:
        return []
    try:
        return msgspec.json.decode(content, type=list[str])
    except msgspec.DecodeError as error:
        raise Corrupt(
            f"{locations.trusted_directories} is damaged.",
            hint="Remove it and trust the directories again.",
            code="settings.trusted_damaged",
        ) from error
