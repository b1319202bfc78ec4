"""The settings that were changed since we wrote them, and adopting them: the journal takes them over."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from mahavishnu.ai.clients.table import CLIENTS, ClientName
from mahavishnu.ai.foreign_files.documents import ABSENT, Absent, Document
from mahavishnu.ai.foreign_files.files import told
from mahavishnu.ai.switching.drift import Drift, changed_elements, changed_members, find_drift
from mahavishnu.ai.switching.journal import Entry, FileRecord, Record, recorded
from mahavishnu.ai.switching.plan import Place, Scope, new_entry
from mahavishnu.ai.switching.redaction import is_marked, redact
from mahavishnu.ai.switching.settle import Settled, settle
from mahavishnu.ai.switching.site import Site, require_client


@dataclass(frozen=True)
class Changed:
    """One file, what it says, and what of it is not as we wrote it."""

    place: Place
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
) -> Iterator[Place]:
    for name in dict.fromkeys(clients or CLIENTS):
        if clients:
            require_client(site, name)
        elif (
            not site.settings_of(name).enabled
            or not site.has(name)
            or (scope == "project" and CLIENTS[name].project_file(site.folder) is None)
        ):
            continue
        place = site.place(name, scope, settled.history)
        if place.memory.profile is not None:
            yield place


@dataclass(frozen=True)
class Adopted:
    """What was adopted: for each profile that had been switched to, an entry and its files."""

    entries: tuple[tuple[Entry, tuple[Changed, ...]], ...]
    settled: tuple[str, ...] = ()


def adopt(site: Site, clients: Sequence[ClientName] = (), scope: Scope = "user") -> Adopted:
    """
    Take the values in changed settings for written, so that the next switch builds on it.

    What was written before is kept in the journal: undoing the adoption brings it back.

    Raises:
        MahavishnuError: as `find_changed`.
    """
    journal = site.journal
    with journal.held():
        settled = settle(site, journal)
        changed = find_changed(site, clients, scope, settled)
        entries = []
        for profile, files in groupby(sorted(changed, key=_profile_of), key=_profile_of):
            group = tuple(files)
            entry = _entry(profile, scope, group)
            journal.adopt(entry)
            entries.append((entry, group))
        return Adopted(tuple(entries), settled.told)


def _profile_of(changed: Changed) -> str:
    return changed.place.memory.profile or ""


def _entry(profile: str, scope: Scope, files: Sequence[Changed]) -> Entry:
    return new_entry(
        "adopt", profile, scope, lambda salt: [_file_record(each, salt) for each in files]
    )


def _file_record(changed: Changed, salt: str) -> FileRecord:
    place, document = changed.place, changed.document
    secret = place.client.is_secret
    records = []
    for path, written, now in changed_members(place, document):
        # With one salt it shows which of the keys are those that were written.
        own = written.salt if is_marked(written.value) else None
        kind: Literal["set", "remove"] = "remove" if now is ABSENT else "set"
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
    )
