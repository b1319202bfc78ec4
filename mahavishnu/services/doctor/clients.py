"""Checks of AI clients' settings: who else can read them."""

from collections.abc import Iterator
from pathlib import Path

from mahavishnu.ai.clients import places
from mahavishnu.ai.clients.rights import FILE_MODE, FOLDER_MODE, open_modes_of
from mahavishnu.ai.clients.table import CLIENTS
from mahavishnu.operations.ai.clients import chosen_clients
from mahavishnu.services.doctor.files import close
from mahavishnu.services.doctor.findings import Examination, Finding

_OTHERS_WRITE = 0o022


def look_at_clients(examination: Examination) -> Finding:
    """Find settings of AI clients that others can use; needs `settings`."""
    found = list(_open_paths(examination))
    if not found:
        return Finding("clients", "ok", "No settings of an AI client are open to others.")
    writable = any(mode & _OTHERS_WRITE for _, mode, _ in found)
    told = ", ".join(f"{path} ({mode:04o})" for path, mode, _ in found)
    return Finding(
        "clients",
        "error" if writable else "warning",
        f"Others may {'change' if writable else 'read'} settings of AI clients: {told}.",
        "Folders belong to 0700 and files to 0600: mahavishnu doctor --fix",
        fixable=not any(path.is_symlink() for path, _, _ in found),
    )


def close_clients(examination: Examination) -> str:
    """Take others' rights from settings of AI clients and their folders."""
    return " ".join(close(path, wanted) for path, _, wanted in list(_open_paths(examination)))


def _open_paths(examination: Examination) -> Iterator[tuple[Path, int, int]]:
    """Yield path, mode and the mode that is wanted."""
    assert examination.loaded is not None
    environ = examination.environ
    for name, chosen in chosen_clients(examination.loaded).items():
        path = places.find_place(name, environ, chosen.path).settings
        file, folder = open_modes_of(path, CLIENTS[name], environ)
        if folder is not None:
            yield path.parent, folder, FOLDER_MODE
        if file is not None:
            yield path, file, FILE_MODE
