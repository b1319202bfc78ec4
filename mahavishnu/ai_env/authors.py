"""Who changed a client's settings since we wrote them, as far as their values tell."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from mahavishnu.ai_env.clients.port import home
from mahavishnu.ai_env.documents import ABSENT, Absent, Document, KeyPath, Value, same_value
from mahavishnu.ai_env.drift import (
    Author,
    Element,
    Member,
    changed_elements,
    changed_members,
)
from mahavishnu.ai_env.importing.found import PLACEHOLDER
from mahavishnu.ai_env.journal import Entry, FileRecord, History, Record, value_of
from mahavishnu.ai_env.plan import Place
from mahavishnu.ai_env.redaction import redact
from mahavishnu.ai_env.site import Site
from mahavishnu.errors import MahavishnuError


@dataclass(frozen=True)
class Authorship:
    """
    Who it was likely, and when the file was last written, None where it is gone.

    `left_by` is the entry that left an earlier state; None with `earlier`: it is older than all of them.
    """

    author: Author
    changed_at: datetime | None
    left_by: Entry | None = None


def find_author(site: Site, place: Place, document: Document, history: History) -> Authorship:
    """Return who made the settings what they are; they must have been changed."""
    changed_at = _changed_at(place.path)
    members = list(changed_members(place, document))
    elements = list(changed_elements(place, document))
    others = [each for each in members if each.path not in place.client.writes]
    if not others and not elements:
        return Authorship("client", changed_at)
    if changed_at is None:
        return Authorship("unknown", None)
    if others and not elements and _is_of_cc_switch(site, place, others):
        return Authorship("cc-switch", changed_at)
    for left_by, state in _states(history, place):
        if state.holds(place, document, others, elements):
            return Authorship("earlier", changed_at, left_by)
    return Authorship("unknown", changed_at)


def _changed_at(path: Path) -> datetime | None:
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except OSError:
        return None


def _is_of_cc_switch(site: Site, place: Place, members: list[Member]) -> bool:
    """Tell whether these are the values of cc-switch's current provider, or what its proxy puts there."""
    path = home(site.environ) / ".cc-switch" / "cc-switch.db"
    if not path.is_file():
        return False
    from mahavishnu.ai_env.importing.cc_switch import (  # noqa: PLC0415 - SQLite, where it is there
        read_current,
    )

    if any(each.now == PLACEHOLDER for each in members):
        return True
    try:
        said = read_current(path, place.client.way.client)
    except MahavishnuError:
        return False
    # What is merely missing on both sides tells nothing.
    return said is not None and any(each.now not in (ABSENT, "") for each in members) and all(
        same_value(said.get(each.path, ABSENT), each.now) for each in members
    )  # fmt: skip


@dataclass
class _State:
    """What our members, and our elements of lists, were at one moment; values with their salts."""

    members: dict[KeyPath, tuple[Value | Absent, str]] = field(default_factory=dict)
    elements: dict[KeyPath, list[Value]] = field(default_factory=dict)
    ours: Mapping[KeyPath, list[Value]] = field(default_factory=dict)

    def take(self, record: Record, salt: str) -> None:
        if record.kind in ("set", "remove"):
            self.members[record.path] = (value_of(record.after), record.salt or salt)
            return
        others = [
            each
            for each in self.elements.get(record.path, [])
            if not same_value(each, record.element)
        ]
        self.elements[record.path] = [
            *others, *([record.element] if record.kind == "include" else [])
        ]  # fmt: skip

    def holds(
        self, place: Place, document: Document, members: list[Member], elements: list[Element]
    ) -> bool:
        secret = place.client.is_secret
        for path, _, now in members:
            value, salt = self.members[path]
            if not same_value(redact(now, path, secret, salt), value):
                return False
        for path, _, successor in elements:
            there = document.get(path)
            known = self.elements.get(path, [])
            if successor is not ABSENT or any(
                _is_in(each, there) != _is_in(each, known) for each in self.ours[path]
            ):
                return False
        return True


def _is_in(element: Value, elements: object) -> bool:
    return isinstance(elements, list) and any(same_value(element, each) for each in elements)


def _states(history: History, place: Place) -> Iterator[tuple[Entry | None, _State]]:
    """Yield what our members were before all entries, and after each of them."""
    entries = [
        (entry, file)
        for entry in history.done
        for file in entry.files
        if file.path == str(place.path)
    ]
    state = _State(ours=_all_elements(entries))
    for entry, file in reversed(entries):
        for record in reversed(file.records):
            if record.kind in ("set", "remove"):
                salt = record.salt or entry.salt
                state.members[record.path] = (value_of(record.before), salt)
    yield None, state
    for entry, file in entries:
        for record in file.records:
            state.take(record, entry.salt)
        yield entry, state


def _all_elements(entries: list[tuple[Entry, FileRecord]]) -> dict[KeyPath, list[Value]]:
    found: dict[KeyPath, list[Value]] = {}
    for _, file in entries:
        for record in file.records:
            if record.kind in ("include", "exclude"):
                found.setdefault(record.path, []).append(record.element)
    return found
