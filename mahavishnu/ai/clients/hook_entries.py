"""
Commands that a client runs at events, in JSON, as Claude Code, Codex and Qwen Code write them.

Each is there once for an event and matcher. Whether a client knows the event is for that client to say.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from mahavishnu.ai.foreign_files.documents import Document, KeyPath, Value
from mahavishnu.ai.foreign_files.merge import Change, Exclude, Include, Set

PATH = ("hooks",)


@dataclass(frozen=True)
class Hook:
    """A command at an event; without `matcher` at every one, without `timeout_s` the client's own."""

    event: str
    command: str
    matcher: str | None = None
    timeout_s: int | float | None = None


@dataclass(frozen=True)
class FoundHook:
    """A hook of any kind as the file has it: its place, the entry and it itself."""

    event: str
    path: KeyPath
    entry: dict[str, Value]
    hook: dict[str, Value]

    @property
    def matcher(self) -> str | None:
        """What narrows the event; None where nothing does."""
        return _plain(self.entry.get("matcher"))

    @property
    def fills_entry(self) -> bool:
        """Whether its entry holds nothing but this command."""
        siblings = self.entry["hooks"]
        assert isinstance(siblings, list)
        return all(
            isinstance(each, dict) and _runs(each, self.hook.get("command")) for each in siblings
        )

    def runs(self, command: str) -> bool:
        """Tell whether this is that command."""
        return _runs(self.hook, command)


def read_hooks(document: Document) -> Iterator[FoundHook]:
    """Yield every hook, in order; what has another shape is passed over."""
    events = document.get(PATH)
    for event, entries in events.items() if isinstance(events, dict) else ():
        for place, entry in enumerate(entries if isinstance(entries, list) else ()):
            inner = entry.get("hooks") if isinstance(entry, dict) else None
            for number, hook in enumerate(inner if isinstance(inner, list) else ()):
                if isinstance(entry, dict) and isinstance(hook, dict):
                    path = (*PATH, event, str(place), "hooks", str(number))
                    yield FoundHook(event, path, entry, hook)


def add_hook(document: Document, wanted: Hook) -> list[Change]:
    """Return the changes that make the command run at the event; one that does gets the timeout alone."""
    matcher = _plain(wanted.matcher)
    there = [
        found
        for found in read_hooks(document)
        if found.event == wanted.event and found.matcher == matcher and found.runs(wanted.command)
    ]
    timeout = wanted.timeout_s
    if there:
        return [] if timeout is None else [Set((*f.path, "timeout"), timeout) for f in there]
    hook: dict[str, Value] = {"type": "command", "command": wanted.command}
    if timeout is not None:
        hook["timeout"] = timeout
    entry: dict[str, Value] = {} if matcher is None else {"matcher": matcher}
    return [Include((*PATH, wanted.event), {**entry, "hooks": [hook]})]


def remove_hook(
    document: Document, event: str, command: str, *, matcher: str | None = None
) -> list[Change]:
    """Return the changes after which the command does not run there: under any matcher if None."""
    gone = [
        found
        for found in read_hooks(document)
        if found.event == event
        and found.runs(command)
        and (matcher is None or found.matcher == _plain(matcher))
    ]
    inside: list[Change] = []
    whole: list[Change] = []
    for found in gone:
        if found.fills_entry:
            whole.append(Exclude((*PATH, event), found.entry, made=PATH))
        else:
            inside.append(Exclude(found.path[:-1], found.hook))
    # Elements are named by their place, so those that move others come last.
    return inside + whole


def _plain(matcher: Value) -> str | None:
    """Return the matcher; None for each of the ways to say that there is none."""
    return None if matcher in (None, "", "*") or not isinstance(matcher, str) else matcher


def _runs(hook: dict[str, Value], command: Value) -> bool:
    return hook.get("type") == "command" and hook.get("command") == command
