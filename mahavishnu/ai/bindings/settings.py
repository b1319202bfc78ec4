"""The settings that a client reads in a bound directory itself: the guard in them too, and the way back."""

import json
from collections.abc import Sequence
from pathlib import Path

import msgspec

from mahavishnu.ai.bindings.hooks import GuardLines, install, open_file, uninstall
from mahavishnu.ai.bindings.store import Binding
from mahavishnu.ai.clients.hooks import hooks_of
from mahavishnu.ai.clients.table import CLIENTS
from mahavishnu.ai.foreign_files.documents import Absent, KeyPath
from mahavishnu.ai.foreign_files.documents.port import show_path
from mahavishnu.ai.foreign_files.merge import Remove, Set
from mahavishnu.ai.switching.journal import JournalEntry
from mahavishnu.ai.switching.plan import changed_meanwhile
from mahavishnu.ai.switching.recovery import find_place, keys_of, write_back
from mahavishnu.ai.switching.reversal import reverse, state_of
from mahavishnu.ai.switching.site import Site
from mahavishnu.ai.switching.undo import undo
from mahavishnu.base.errors import MahavishnuError

# The client that has settings of a project: a binding keeps those of one.
PROJECT_CLIENT = next(name for name, each in CLIENTS.items() if each.project_file)
_HOOKS_OFF = hooks_of(PROJECT_CLIENT).off_switch


def read_hooks_off(site: Site, path: Path) -> str:
    """Return what the file says of hooks being off, as JSON; empty where it says nothing."""
    said = open_file(site, PROJECT_CLIENT, path).read().get(_HOOKS_OFF)
    return "" if isinstance(said, Absent) else json.dumps(said)


def protect(site: Site, path: Path, lines: GuardLines) -> None:
    """
    Let the guard run by this file as well, and by no other be switched off.

    So it stands where the user's settings are elsewhere; and a repository's own `disableAllHooks` counts
    less than this one. Raises as `SettingsFile.edit`.
    """
    install(site, PROJECT_CLIENT, path, lines)
    open_file(site, PROJECT_CLIENT, path).edit([Set(_HOOKS_OFF, value=False)])


def take_back(site: Site, row: Binding, folder: Path, *, overwrite: bool) -> None:
    """
    Take out of the directory's settings what binding it wrote; raises as `undo`.

    `folder` is where the directory is now. A switch of the project after that goes too.
    """
    if not row.settings:
        return
    path = folder / Path(row.settings).relative_to(row.folder.path)
    entries = _entries(site, row)
    if str(path) != row.settings:
        for entry in entries:
            _take_back_moved(site, row, entry, path)
    else:
        _undo_all(site, entries, folder, path, overwrite=overwrite)
    if path.exists():
        _unprotect(site, path, row.hooks_off, drop_empty=_was_made(site, row))


def _undo_all(
    site: Site, entries: Sequence[JournalEntry], folder: Path, path: Path, *, overwrite: bool
) -> None:
    """Undo them, the last one first; what was given up for a later one is not asked for once more."""
    if path.exists() and not overwrite:
        _require_unchanged(site, entries, path)
    for entry in entries:
        try:
            undo(site, str(entry.id), overwrite=True)
        except MahavishnuError:
            if folder.exists():
                raise
            return  # there is nothing to restore it in


def _require_unchanged(site: Site, entries: Sequence[JournalEntry], path: Path) -> None:
    """Refuse what was changed since the last that wrote it, before anything is touched."""
    looked_at: set[KeyPath] = set()
    changed = []
    for entry in entries:
        for file in entry.files:
            if file.path != str(path):
                continue
            place = find_place(site, entry, file)
            document = site.open(place.client, path).read()
            for record in file.records:
                if record.path in looked_at or record.before == record.after:
                    continue
                looked_at.add(record.path)
                if record.path in place.client.shared:
                    continue
                if state_of(record, document, place.client, entry.salt) == "other":
                    changed.append(show_path(record.path))
    if changed:
        raise changed_meanwhile(path, changed)


def stands(site: Site, entry: str) -> bool:
    """Tell whether a switch, by its whole id, was made and not taken back."""
    return any(str(each.id) == entry for each in site.journal.read().in_effect)


def _was_made(site: Site, row: Binding) -> bool:
    """Tell whether the file is of our making, also if the switch that made it was undone since."""
    files = [file for entry in site.journal.read().done for file in entry.files]
    return any(file.new for file in files if file.path == row.settings)


def _unprotect(site: Site, path: Path, hooks_off: str, *, drop_empty: bool) -> None:
    uninstall(site, PROJECT_CLIENT, path, drop_empty=False)
    off = Set(_HOOKS_OFF, json.loads(hooks_off)) if hooks_off else Remove(_HOOKS_OFF, _HOOKS_OFF)
    open_file(site, PROJECT_CLIENT, path).edit([off], drop_empty=drop_empty)


def _entries(site: Site, row: Binding) -> list[JournalEntry]:
    """Return the switches of the settings since the binding, the last one first."""
    in_effect = site.journal.read().in_effect
    touching = [e for e in in_effect if any(file.path == row.settings for file in e.files)]
    ids = [str(each.id) for each in touching]
    return touching[ids.index(row.entry) :][::-1] if row.entry in ids else []


def _take_back_moved(site: Site, row: Binding, entry: JournalEntry, path: Path) -> None:
    """Take a switch back in the file that went along with its directory, wherever nobody changed it since."""
    keys = keys_of(site, site.journal.read(), entry)
    for file in entry.files:
        if file.path != row.settings:
            continue
        place = find_place(site, entry, msgspec.structs.replace(file, path=str(path)))
        document, client = site.open(place.client, path).read(), place.client
        ours = [
            record
            for record in file.records
            if state_of(record, document, client, entry.salt) == "after"
        ]
        reversal = reverse(ours, salt=entry.salt, keys=keys, without=client.without)
        write_back(site, place, reversal.changes, {}, drop_empty=file.new)
