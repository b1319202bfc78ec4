"""What was changed in clients' settings since we wrote them, what would write it again, and adopting it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal, NamedTuple

from mahavishnu.ai.clients.settings import CurrentProvider
from mahavishnu.ai.clients.table import CLIENTS, ClientName
from mahavishnu.ai.foreign_files.documents import (
    ABSENT,
    Absent,
    Document,
    KeyPath,
    Value,
    same_value,
)
from mahavishnu.ai.foreign_files.files import told
from mahavishnu.ai.foreign_files.merge import Change, Exclude, Include, Remove, Set, merge
from mahavishnu.ai.secrets.binding import Origin, origin_of
from mahavishnu.ai.switching.apply import new_entry, new_salt
from mahavishnu.ai.switching.journal import (
    ChangeKind,
    FileRecord,
    JournalEntry,
    Record,
    WrittenMember,
    recorded,
)
from mahavishnu.ai.switching.plan import Scope, SettingsPlace
from mahavishnu.ai.switching.recovery import Settled, held_journal
from mahavishnu.ai.switching.redaction import (
    is_marked,
    marks_in,
    redact,
    shown,
    shown_record,
    unmark,
)
from mahavishnu.ai.switching.reversal import Reversal, is_emptied
from mahavishnu.ai.switching.site import Site, require_client
from mahavishnu.base.errors import UsageError
from mahavishnu.base.masking import mask_url

# client: the client itself; unknown: by hand, or by another program; cc-switch: as unknown, and it is installed.
type Author = Literal["client", "cc-switch", "unknown"]


@dataclass(frozen=True)
class Drift:
    """A member, or an element of a list, that is not as we wrote it; keys are masked, nothing is ABSENT."""

    path: KeyPath
    written: Value | Absent
    now: Value | Absent
    author: Author = "unknown"


class Member(NamedTuple):
    """A member that is not as it was written, as it is now: `now` may be a key."""

    path: KeyPath
    written: WrittenMember
    now: Value | Absent


class ListElement(NamedTuple):
    """An element of ours that a list has no longer, and the one that came in its place."""

    path: KeyPath
    written: Value
    now: Value | Absent


def find_drift(place: SettingsPlace, document: Document) -> tuple[Drift, ...]:
    """Return what of ours is no longer as we wrote it; what the client writes is its own doing."""
    client = place.client
    members = [
        Drift(
            each.path,
            shown_record(each.written.value),
            shown(each.now, each.path, client.is_secret),
            "client" if each.path in client.writes else "unknown",
        )
        for each in changed_members(place, document)
    ]
    elements = [
        Drift(path, shown(written, path, client.is_secret), shown(now, path, client.is_secret))
        for path, written, now in changed_elements(place, document)
    ]
    return (*members, *elements)


def changed_members(place: SettingsPlace, document: Document) -> Iterator[Member]:
    """Yield the members of ours that say something else; what is the user's to choose is passed over."""
    client = place.client
    chosen = [path for path in client.shared if path not in client.writes]
    for path, written in place.memory.written.items():
        if path in chosen:
            continue
        now = document.get(path)
        emptied = is_emptied(path, written.value, now, client)
        if not emptied and not place.is_as_written(path, now):
            yield Member(path, written, now)


def changed_elements(place: SettingsPlace, document: Document) -> Iterator[ListElement]:
    """Yield our elements of lists that are gone, or are others under the same name."""
    for path, elements in place.memory.elements.items():
        value = document.get(path)
        there: list[Value] = value if isinstance(value, list) else []
        # Keys of one that was adopted are marks in the journal: it is compared as it would be there.
        salts = place.memory.element_salts.get(path, ())
        forms = [
            *there,
            *(redact(e, path, place.client.is_secret, salt) for e in there for salt in salts),
        ]
        for each in elements:
            if not any(same_value(each, other) for other in forms):
                yield ListElement(path, each, _find_successor(each, there, elements))


def _find_successor(
    element: Value, there: Sequence[Value], ours: Sequence[Value]
) -> Value | Absent:
    name = element.get("name") if isinstance(element, dict) else None
    for other in there:
        named = isinstance(other, dict) and other.get("name") == name
        if named and not any(same_value(other, each) for each in ours):
            return other
    return ABSENT


def replay(place: SettingsPlace, document: Document, keys: Sequence[str] = ()) -> Reversal:
    """
    Return what writes again all that was written; marks become those of `keys` that they stand for.

    A variable that had been removed is emptied: a running session would keep it.
    """
    client = place.client
    changes: list[Change] = []
    lost = []
    for path, written, _ in changed_members(place, document):
        if isinstance(written.value, Absent):
            blank = client.blank(path)
            changes.append(
                Remove(path, place.memory.made.get(path))
                if isinstance(blank, Absent)
                else Set(path, blank)
            )
            continue
        value, whole = unmark(written.value, written.salt, list(keys), client.without(path))
        changes.append(Set(path, value))
        if not whole:
            lost.append(path)
    for path, element, successor in changed_elements(place, document):
        if not isinstance(successor, Absent):
            changes.append(Exclude(path, successor))
        changes.append(Include(path, element))
    return Reversal(tuple(changes), tuple(lost))


def find_warning(place: SettingsPlace, document: Document) -> str:
    """Return what becomes of a key of ours where the address beside it is another one now; else nothing."""
    client = place.client
    before, _ = merge(document, replay(place, document).changes, {})
    then, now = client.see(before), client.see(document)
    there, here = _origin(place, then), _origin(place, now)
    if not then.url or there == here:
        return ""
    where = mask_url(now.url or _own_url(place))
    if place.memory.mode == "written":
        return (
            f"The key that was written goes to {where} now." if _keeps_key(place, document) else ""
        )
    if not now.key or now.key != then.key:
        return ""
    if client.asks == "helper":
        return (
            f"{client.title} asks {where} now, and its key command is bound to {there}:"
            " mahavishnu-key refuses, and requests go there without a key, if at all."
        )
    return f"{client.title} sends the key in {now.key.removeprefix('env:')} to {where} now."


def _origin(place: SettingsPlace, seen: CurrentProvider) -> Origin | None:
    try:
        return origin_of(seen.url or _own_url(place))
    except UsageError:
        return None


def _own_url(place: SettingsPlace) -> str:
    """Return where the client goes when no address is named."""
    return place.client.own_url


def _keeps_key(place: SettingsPlace, document: Document) -> bool:
    """Tell whether a raw key that we wrote still stands where we wrote it."""
    secret = place.client.is_secret
    return any(
        marks_in(written.value) & marks_in(redact(document.get(path), path, secret, written.salt))
        for path, written in place.memory.written.items()
    )


@dataclass(frozen=True)
class Changed:
    """One file, what it says, and what of it is not as we wrote it."""

    place: SettingsPlace
    document: Document
    drift: tuple[Drift, ...]


def find_changed(
    site: Site, clients: Sequence[ClientName], scope: Scope, settled: Settled
) -> list[Changed]:
    """
    Return the changed settings of the named clients, else of all; what we never wrote is not read.

    Raises:
        MahavishnuError: as `require_client` and `Site.path_of` for clients that are named; one of the
            files cannot be read, or an interrupted switch of it cannot be settled.
    """
    found = []
    for place in _places(site, clients, scope, settled):
        settled.require([str(place.path)])
        with told(place.path):
            document = site.open(place.client, place.path).read()
            place.client.check(document)
        if drift := find_drift(place, document):
            found.append(Changed(place, document, drift))
    return found


def _places(
    site: Site, clients: Sequence[ClientName], scope: Scope, settled: Settled
) -> Iterator[SettingsPlace]:
    for name in dict.fromkeys(clients or CLIENTS):
        if clients:
            require_client(site, name)
        elif (
            not site.settings_of(name).enabled
            or not site.has(name)
            or (scope == "project" and CLIENTS[name].project_file is None)
        ):
            continue
        place = site.place(name, scope, settled.history)
        if place.memory.profile is not None:
            yield place


@dataclass(frozen=True)
class Adoption:
    """What was adopted: for each profile that had been switched to, an entry and its files."""

    entries: tuple[tuple[JournalEntry, tuple[Changed, ...]], ...]
    settled: tuple[str, ...] = ()


def adopt(site: Site, clients: Sequence[ClientName] = (), scope: Scope = "user") -> Adoption:
    """
    Take the values in changed settings for written, so that the next switch builds on it.

    What was written before is kept in the journal: undoing the adoption brings it back. Raises as `find_changed`.
    """
    with held_journal(site) as settled:
        changed = find_changed(site, clients, scope, settled)
        entries = []
        for profile, files in groupby(sorted(changed, key=_profile_of), key=_profile_of):
            group = tuple(files)
            salt = new_salt()
            records = [_file_record(each, salt) for each in group]
            entry = new_entry("adopt", profile, scope, salt, records)
            site.journal.intend(entry)  # that line alone is the whole of it
            entries.append((entry, group))
        return Adoption(tuple(entries), settled.told)


def _profile_of(changed: Changed) -> str:
    return changed.place.memory.profile or ""


def _file_record(changed: Changed, salt: str) -> FileRecord:
    place, document = changed.place, changed.document
    secret = place.client.is_secret
    records = []
    for path, written, now in changed_members(place, document):
        # With one salt it shows which of the keys are those that were written.
        own = written.salt if is_marked(written.value) else None
        kind: ChangeKind = "remove" if now is ABSENT else "set"
        after = recorded(redact(now, path, secret, own or salt))
        records.append(Record(kind, path, recorded(written.value), after, salt=own))
    # What is taken back is so from the end: our elements then stand in the order that they had.
    for path, element, successor in reversed(list(changed_elements(place, document))):
        records.append(Record("exclude", path, element=element))
        if not isinstance(successor, Absent):
            records.append(Record("include", path, element=redact(successor, path, secret, salt)))
    return FileRecord(
        client=place.client.name,
        path=str(place.path),
        mode=place.memory.mode or "",
        records=tuple(records),
        via=place.memory.via,
    )
