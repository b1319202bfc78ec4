"""The settings file of Claude Code that is meant, and the one way to change it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mahavishnu.ai.clients.claude_code.schema import Fault, find_faults
from mahavishnu.ai.clients.claude_code.settings import PROJECT_FILE
from mahavishnu.ai.clients.places import Place, require_there
from mahavishnu.ai.clients.project import find_project, require_inside
from mahavishnu.ai.clients.rights import closing
from mahavishnu.ai.clients.settings import Scope as Scope
from mahavishnu.ai.clients.table import CLIENTS
from mahavishnu.ai.foreign_files.documents import ABSENT, Absent, Document, KeyPath, Value
from mahavishnu.ai.foreign_files.documents.json_document import JsonDocument
from mahavishnu.ai.foreign_files.files import SettingsFile
from mahavishnu.ai.foreign_files.merge import Change, Exclude, Include, Remove, Set, merge
from mahavishnu.base.errors import Unavailable, UsageError

type Plan = Callable[[Document], list[Change]]
CLIENT: Literal["claude-code"] = "claude-code"
_ROUNDS = 5
_ACTIONS = {Set: "set", Remove: "remove", Include: "add", Exclude: "drop"}


@dataclass(frozen=True)
class Step:
    """One change that does something: set, remove, add (to a list) or drop; values may be secret."""

    action: str
    path: KeyPath
    value: Value | Absent


@dataclass(frozen=True)
class FileChange:
    """
    What became of a file, or would: nothing where `steps` is empty; `faults` are in it after that.

    `notes` say whose rights it took.
    """

    path: Path
    steps: tuple[Step, ...]
    faults: tuple[Fault, ...]
    notes: tuple[str, ...] = ()


def settings_file(
    place: Place, scope: Scope, *, environ: Mapping[str, str], folder: Path, locks: Path
) -> SettingsFile:
    """
    Return the file of the user, or the one that is the user's alone in the project of `folder`.

    Raises:
        NotFound: `ai.client_missing`.
        UsageError: `ai.no_project`.
        Forbidden: `ai.outside_project`.
    """
    require_there(place)
    if scope == "user":
        close = closing(CLIENTS[CLIENT], environ)
        return SettingsFile(place.settings, JsonDocument, locks, close=close)
    project = find_project(folder, environ, PROJECT_FILE)
    path = require_inside(project / PROJECT_FILE, project)
    return SettingsFile(path, JsonDocument, locks)


def carry_out(file: SettingsFile, plan: Plan, *, dry_run: bool) -> FileChange:
    """
    Make the changes that `plan` gives for what the file says, or only tell them.

    The file is looked at again: another program may have moved meanwhile what the plan was made for.

    Raises:
        Unavailable: `ai_files.busy`, it does so all the time.
        MahavishnuError: what `plan` raises, or `SettingsFile`.
    """
    steps: tuple[Step, ...] = ()
    notes: tuple[str, ...] = ()
    for _ in range(_ROUNDS):
        document = file.read()
        changes = plan(document)
        try:
            file.plan(changes, make_folder=True)
            merged = merge(document, changes, {})[0]
            steps = steps or tuple(_step(each) for each in changes if _counts(document, each))
            if dry_run or merged.content == document.content:
                return FileChange(file.path, steps, read_faults(merged), notes)
            notes += file.edit(changes, make_folder=True).notes
        except UsageError:
            if file.read().content == document.content:
                raise
    raise Unavailable(
        f"Another program keeps changing {file.path}.",
        hint="Close the program, or try again later.",
        code="ai_files.busy",
    )


def read_all(document: Document) -> dict[str, Value]:
    """Return everything that the file says."""
    whole = json.loads(document.content)
    assert isinstance(whole, dict)
    return whole


def read_faults(document: Document) -> tuple[Fault, ...]:
    """Return what Claude Code would not take."""
    return tuple(find_faults(read_all(document)))


def _step(change: Change) -> Step:
    match change:
        case Set():
            value: Value | Absent = change.value
        case Remove():
            value = ABSENT
        case _:
            value = change.element
    return Step(_ACTIONS[type(change)], change.path, value)


def _counts(document: Document, change: Change) -> bool:
    return merge(document, [change], {})[0].content != document.content
