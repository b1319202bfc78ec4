"""Who else can read a client's settings: they hold keys, hooks and permissions, and are their owner's alone."""

import contextlib
import os
import stat
from collections.abc import Mapping
from pathlib import Path

from mahavishnu.ai.clients.settings import SettingsPort, home
from mahavishnu.ai.foreign_files.files import Close

type Modes = tuple[int | None, int | None]  # of the file and of its folder; None: nothing to close

FILE_MODE, FOLDER_MODE = 0o600, 0o700
_OTHERS = 0o077


def open_modes_of(path: Path, client: SettingsPort, environ: Mapping[str, str]) -> Modes:
    """Return the modes that others can use; a folder that is not the client's own is left alone."""
    folder = path.parent
    own = folder == client.folder(environ) and folder != home(environ)
    return _open_mode(path), _open_mode(folder) if own else None


def note_of(path: Path, modes: Modes, *, private: bool = False) -> list[str]:
    """Return what to say of what a switch closes; `private`: undo will bring a raw key back into the file."""
    found = _shown(path, modes)
    if not found:
        return []
    stays = private and modes[0] is not None
    after = f"; {path} stays so, as undo brings a key back into it" if stays else ""
    return [f"Others could use {found}: for you alone with the switch, until its undo{after}."]


def closing(client: SettingsPort, environ: Mapping[str, str]) -> Close:
    """Return what closes settings of the user, not of a project, once they are written, where no undo follows."""

    def close(path: Path) -> tuple[str, ...]:
        modes = open_modes_of(path, client, environ)
        close_modes(path, modes)
        found = _shown(path, modes)
        return (f"Others could use {found}: for you alone from now on.",) if found else ()

    return close


def close_modes(path: Path, modes: Modes) -> None:
    """Take others' rights from a settings file and its folder, where `modes` has what they were."""
    for each, mode, closed in _pairs(path, modes):
        if mode is not None and _open_mode(each) is not None:
            each.chmod(closed)


def reopen_modes(path: Path, modes: Modes, *, private: bool = False) -> None:
    """Give back the earlier modes, where nobody changed them since; with `private` not that of the file."""
    for each, mode, closed in _pairs(path, (None, modes[1]) if private else modes):
        with contextlib.suppress(FileNotFoundError):
            if mode is not None and stat.S_IMODE(each.stat().st_mode) == closed:
                each.chmod(mode)


def _shown(path: Path, modes: Modes) -> str:
    open_ones = [
        f"{each} ({mode:04o})" for each, mode, _ in _pairs(path, modes) if mode is not None
    ]
    return " and ".join(open_ones)


def _pairs(path: Path, modes: Modes) -> tuple[tuple[Path, int | None, int], ...]:
    return (path, modes[0], FILE_MODE), (path.parent, modes[1], FOLDER_MODE)


def _open_mode(path: Path) -> int | None:
    """Return the mode of what is this user's and others can use; None for anything else."""
    try:
        about = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    mode = stat.S_IMODE(about.st_mode)
    return mode if mode & _OTHERS and about.st_uid == os.geteuid() else None
