"""
How the guard of bound directories is put into a client's settings: as hooks, commands that it runs at events.

The methods here write the entries of `hook_entries`. A client with another form or file, or one that asks its user
before it runs a hook, overrides them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from mahavishnu.ai.clients.hook_entries import Hook, add_hook, read_hooks, remove_hook
from mahavishnu.ai.clients.table import facts_of
from mahavishnu.ai.foreign_files.documents import Document, KeyPath
from mahavishnu.ai.foreign_files.documents.json_document import JsonDocument
from mahavishnu.ai.foreign_files.files import SettingsFile
from mahavishnu.ai.foreign_files.merge import Change


class PlacedHook(NamedTuple):
    """A hook that runs a command, and its place in the file."""

    event: str
    command: str
    path: KeyPath


@dataclass(frozen=True, kw_only=True)
class PlacedGuard:
    """The hooks of the guard in their file, the client's settings, and what asks the client about both."""

    file: Path
    hooks: Sequence[PlacedHook]
    settings: SettingsFile
    program: Path | None
    environ: Mapping[str, str] = field(repr=False)
    folder: Path


class GuardHooks:
    """The hooks of one client: at `events` it runs the guard; `off_switch` is what lets it run none."""

    events: Sequence[str] = ("SessionStart", "UserPromptSubmit")
    off_switch: KeyPath = ("disableAllHooks",)

    def file(self, settings: Path) -> Path:
        """Return the user's file in which the client looks for hooks, beside its settings."""
        return settings

    def read_as(self) -> type[Document]:
        """Return the format of that file."""
        return JsonDocument

    def read(self, document: Document) -> Iterator[PlacedHook]:
        """Yield every hook that runs a command."""
        for each in read_hooks(document):
            command = each.hook.get("command")
            if isinstance(command, str):
                yield PlacedHook(each.event, command, each.path)

    def add(
        self, document: Document, event: str, command: str, *, timeout_s: int
    ) -> Sequence[Change]:
        """Return the changes after which the command runs at the event."""
        return add_hook(document, Hook(event, command, timeout_s=timeout_s))

    def remove(self, document: Document, event: str, command: str) -> Sequence[Change]:
        """Return the changes after which it does not."""
        return remove_hook(document, event, command)

    def find_switched_off(self, folder: Path) -> list[str]:  # noqa: ARG002 - some clients'
        """Return which settings of a directory let the client run no hooks, as far as they can be read."""
        return []

    def trust(self, guard: PlacedGuard) -> Sequence[str]:  # noqa: ARG002
        """Let the client run the guard, where it needs its user's consent; return what its user should know."""
        return ()

    def is_trusted(self, guard: PlacedGuard) -> bool:  # noqa: ARG002
        """Tell whether it has that consent."""
        return True

    def distrust(self, guard: PlacedGuard) -> None:
        """Take the consent back, while the hooks are still there."""


def hooks_of(client: str) -> GuardHooks:
    """Return those of a client."""
    found: GuardHooks = import_module(facts_of(client).hooks).HOOKS
    return found


def has_value(path: Path, parse: Callable[[str], Any], *names: str, value: bool) -> bool:
    """Tell whether a file has this value under these names, as far as it can be read."""
    try:
        found = parse(path.read_text(encoding="utf-8"))
        for name in names:
            found = found[name]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False
    return found is value
