"""The guard in the settings of clients: at which events each runs it, put there once and taken out whole."""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from mahavishnu.ai.bindings.guard import PROGRAM
from mahavishnu.ai.bindings.location import path_in
from mahavishnu.ai.bindings.store import Unreadable, read_bindings
from mahavishnu.ai.clients.hooks import PlacedGuard, PlacedHook, hooks_of
from mahavishnu.ai.clients.table import CLIENTS, PACKAGES, ClientName, facts_of
from mahavishnu.ai.foreign_files.documents import Document
from mahavishnu.ai.foreign_files.files import Close, Edit, SettingsFile
from mahavishnu.ai.foreign_files.merge import Change, merge
from mahavishnu.ai.switching.site import Site

TIMEOUT_S = 15
_STOP = """echo '{"continue": false, "stopReason": "mahavishnu-guard cannot be run"}'"""

type GuardLines = Sequence[tuple[str, str]]


def guard_lines(client: ClientName, program: Path, directories: Path) -> GuardLines:
    """Return, by event, what a client runs; a guard that is not there, or is killed, is a no too."""
    line = shlex.join((str(program), client, "--directories", str(directories)))
    stops = facts_of(client).exit_stops
    return [
        (event, f"{line} || {'exit 2' if event in stops else _STOP}")
        for event in hooks_of(client).events
    ]


def file_of(site: Site, client: ClientName) -> Path:
    """Return the user's file in which a client looks for hooks."""
    return hooks_of(client).file(site.path_of(client, "user"))


def open_file(site: Site, client: ClientName, path: Path) -> SettingsFile:
    """Return a file with hooks of a client."""
    return SettingsFile(path, hooks_of(client).read_as(), site.locks, site.patience)


def install(
    site: Site, client: ClientName, path: Path, lines: GuardLines, *, close: Close | None = None
) -> Edit:
    """Put the guard into a file, in the place of older lines of ours; raises as `SettingsFile.edit`."""
    file = replace(open_file(site, client, path), close=close)
    return file.edit(_plan(site, client, file.read(), lines), make_folder=True)


def uninstall(site: Site, client: ClientName, path: Path, *, drop_empty: bool) -> Edit:
    """Take every hook of ours out of a file; raises as `SettingsFile.edit`."""
    file = open_file(site, client, path)
    return file.edit(_plan(site, client, file.read(), ()), drop_empty=drop_empty)


def find_guard(site: Site, client: ClientName, *, close: Close | None = None) -> PlacedGuard:
    """
    Return the guard's hooks in the client's file, with what is needed to trust them.

    Raises as `SettingsFile.read`.
    """
    path = file_of(site, client)
    settings = site.open(CLIENTS[client], site.path_of(client, "user"))
    return PlacedGuard(
        file=path,
        hooks=_ours(site, client, open_file(site, client, path).read()),
        settings=replace(settings, close=close),
        program=site.find(client).program,
        environ=site.environ,
        folder=site.folder,
    )


def is_ours(command: object) -> bool:
    """Tell whether a hook's command is the guard."""
    head, mark, _ = str(command).partition(" --directories ")
    if not mark:
        return False
    try:
        words = shlex.split(head)
    except ValueError:
        return False
    return len(words) > 1 and Path(words[-2]).name == PROGRAM and words[-1] in PACKAGES


def is_of(site: Site, command: object) -> bool:
    """Tell whether it is the guard of this installation, or of none any more; not of another's bindings."""
    if not is_ours(command):
        return False
    try:
        file = Path(shlex.split(str(command).rpartition(" --directories ")[2])[0])
        return file == path_in(site.state) or not read_bindings(file).rows
    except (ValueError, IndexError):
        return True
    except Unreadable:
        return False


def clients_there(site: Site) -> list[ClientName]:
    """Return the clients that the user has, and wants to be configured."""
    return [name for name in CLIENTS if site.settings_of(name).enabled and site.has(name)]


def find_switched_off(folder: Path) -> Iterator[str]:
    """Yield which settings of a directory itself let a client run no hooks, as far as they can be read."""
    for name in CLIENTS:
        yield from hooks_of(name).find_switched_off(folder)


def _plan(site: Site, client: ClientName, document: Document, lines: GuardLines) -> list[Change]:
    hooks, changes = hooks_of(client), list[Change]()
    there = ((each.event, each.command) for each in _ours(site, client, document))
    for event, command in dict.fromkeys(each for each in there if each not in lines):
        less = hooks.remove(document, event, command)
        document, _ = merge(document, less, {})
        changes += less
    for event, command in lines:
        more = hooks.add(document, event, command, timeout_s=TIMEOUT_S)
        document, _ = merge(document, more, {})
        changes += more
    return changes


def _ours(site: Site, client: ClientName, document: Document) -> list[PlacedHook]:
    return [each for each in hooks_of(client).read(document) if is_of(site, each.command)]
