"""Checks of AI clients: who else can read their settings, exported keys, and proxies before this machine."""

from collections.abc import Iterator
from pathlib import Path

from mahavishnu.ai.clients import places
from mahavishnu.ai.clients.rights import FILE_MODE, FOLDER_MODE, open_modes_of
from mahavishnu.ai.clients.table import CLIENTS
from mahavishnu.ai.switching.launch import find_sign_ins
from mahavishnu.ai.switching.proxies import proxy_note
from mahavishnu.ai.switching.status import look
from mahavishnu.doctor.files import close
from mahavishnu.doctor.findings import Examination, Finding
from mahavishnu.operations.ai.clients import chosen_clients
from mahavishnu.operations.ai.profiles import known_profiles
from mahavishnu.operations.ai.site import open_site

_OTHERS_WRITE = 0o022
# As providers call them; a profile can have its key under any other name.
_USUAL_END = "_API_KEY"
_OTHER_NAME = "ANTHROPIC_AUTH_TOKEN"


def look_at_clients(examination: Examination) -> Finding:
    """Find settings of AI clients that others can use; needs `settings`."""
    found = list(_open_paths(examination))
    if not found:
        return Finding("ok", "No settings of an AI client are open to others.")
    writable = any(mode & _OTHERS_WRITE for _, mode, _ in found)
    told = ", ".join(f"{path} ({mode:04o})" for path, mode, _ in found)
    return Finding(
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


def look_at_exported_keys(examination: Examination) -> Finding:
    """Name the variables that hold keys of providers; needs `settings`."""
    assert examination.loaded is not None
    keys = [each.key for each in known_profiles(examination.loaded).values()]
    others = (_OTHER_NAME, *find_sign_ins())
    names = {each.variable for each in keys if each is not None}
    found = sorted(
        name
        for name, value in examination.environ.items()
        if value and (name.endswith(_USUAL_END) or name in names or name in others)
    )
    if not found:
        return Finding("ok", "No key of a provider is exported.")
    return Finding(
        "info",
        f"Exported keys: {', '.join(found)}.",
        "A cloned project can have them sent to a server of its own. A keyring or an encrypted file keeps them"
        " from that: mahavishnu ai profile edit PROFILE --key keyring:SERVICE/NAME",
    )


def look_at_proxies(examination: Examination) -> Finding:
    """Find clients that would reach an endpoint on this machine through a proxy; needs `settings`."""
    assert examination.loaded is not None
    site = open_site(examination.loaded)
    statuses = look(site, known_profiles(examination.loaded), site.journal.read())
    notes = [
        note
        for each in statuses
        for note in proxy_note(
            site,
            each.client,
            each.url,
            asks=CLIENTS[each.client].asks == "helper" and each.key not in ("", "written"),
            scope=each.scope,
        )
    ]
    if not notes:
        return Finding("ok", "No client asks this machine through a proxy.")
    return Finding("warning", " ".join(notes))
