"""The guard in the settings of clients: at which events each runs it, put there once and taken out whole."""

import json
import shlex
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mahavishnu.ai.bindings.guard import PROGRAM, stops_by_exit
from mahavishnu.ai.bindings.location import path_in
from mahavishnu.ai.bindings.store import Unreadable, read_bindings
from mahavishnu.ai.clients.claude_code.own_settings.hooks import (
    Found,
    Hook,
    add_hook,
    read_hooks,
    remove_hook,
)
from mahavishnu.ai.clients.table import CLIENTS, ClientName
from mahavishnu.ai.foreign_files.documents import Document
from mahavishnu.ai.foreign_files.documents.json_document import JsonDocument
from mahavishnu.ai.foreign_files.files import Close, Edit, SettingsFile
from mahavishnu.ai.foreign_files.merge import Change, merge
from mahavishnu.ai.switching.site import Site

TIMEOUT_S = 15
EVENTS: Mapping[ClientName, Sequence[str]] = {
    "claude-code": ("SessionStart", "UserPromptSubmit", "PreCompact", "PostToolBatch"),
    "codex": ("SessionStart", "UserPromptSubmit", "PreCompact"),
    "qwen": ("SessionStart", "UserPromptSubmit"),  # nothing stops its compaction
}
_STOP = """echo '{"continue": false, "stopReason": "mahavishnu-guard cannot be run"}'"""


def hooks_of(client: ClientName, program: Path, directories: Path) -> list[Hook]:
    """Return the hooks of a client; a guard that is not there, or is killed, is a no too."""
    line = shlex.join((str(program), client, "--directories", str(directories)))
    return [
        Hook(
            event,
            f"{line} || {'exit 2' if stops_by_exit(client, event) else _STOP}",
            timeout_s=TIMEOUT_S,
        )
        for event in EVENTS[client]
    ]


def file_of(site: Site, client: ClientName) -> Path:
    """Return the user's file in which a client looks for hooks."""
    folder = site.find(client).folder
    return folder / "hooks.json" if client == "codex" else site.path_of(client, "user")


def install(site: Site, path: Path, hooks: Sequence[Hook], *, close: Close | None = None) -> Edit:
    """Put the hooks into a file, in the place of older ones of ours; raises as `SettingsFile.edit`."""
    file = replace(open_file(site, path), close=close)
    return file.edit(_plan(site, file.read(), hooks), make_folder=True)


def uninstall(site: Site, path: Path, *, drop_empty: bool) -> Edit:
    """Take every hook of ours out of a file; raises as `SettingsFile.edit`."""
    file = open_file(site, path)
    return file.edit(_plan(site, file.read(), ()), drop_empty=drop_empty)


def are_installed(site: Site, path: Path, hooks: Sequence[Hook]) -> bool:
    """Tell whether the file has all of them."""
    found = [
        (each.event, each.hook.get("command")) for each in _ours(site, open_file(site, path).read())
    ]
    return all((each.event, each.command) in found for each in hooks)


def open_file(site: Site, path: Path) -> SettingsFile:
    """Return a file with hooks: JSON with all clients."""
    return SettingsFile(path, JsonDocument, site.locks, site.patience)


def is_ours(command: object) -> bool:
    """Tell whether a hook's command is the guard."""
    head, mark, _ = str(command).partition(" --directories ")
    if not mark:
        return False
    try:
        words = shlex.split(head)
    except ValueError:
        return False
    return len(words) > 1 and Path(words[-2]).name == PROGRAM and words[-1] in CLIENTS


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


def find_switched_off(folder: Path) -> list[str]:
    """Return which settings of a directory itself let a client run no hooks, as far as they can be read."""
    qwen, codex = folder / ".qwen" / "settings.json", folder / ".codex" / "config.toml"
    found = []
    if _says(qwen, json.loads, "disableAllHooks", value=True):
        found.append(f"Qwen Code runs no guard: {qwen} switches hooks off")
    if _says(codex, tomllib.loads, "features", "hooks", value=False):
        found.append(
            f"Codex, where it trusts the directory, runs no guard: {codex} switches hooks off"
        )
    return found


def _says(path: Path, parse: Callable[[str], Any], *names: str, value: bool) -> bool:
    try:
        found = parse(path.read_text(encoding="utf-8"))
        for name in names:
            found = found[name]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False
    return found is value


def _plan(site: Site, document: Document, hooks: Sequence[Hook]) -> list[Change]:
    wanted = [(each.event, each.command) for each in hooks]
    stale = dict.fromkeys(
        (each.event, str(each.hook["command"]))
        for each in _ours(site, document)
        if (each.event, each.hook["command"]) not in wanted
    )
    changes: list[Change] = []
    for event, command in stale:
        less = remove_hook(document, event, command)
        document, _ = merge(document, less, {})
        changes += less
    for hook in hooks:
        more = add_hook(document, hook)
        document, _ = merge(document, more, {})
        changes += more
    return changes


def _ours(site: Site, document: Document) -> Iterator[Found]:
    return (each for each in read_hooks(document) if is_of(site, each.hook.get("command")))
