"""Adopt what was changed in clients' settings since a switch: the journal takes it over, no file changes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from secrets import token_hex
from typing import Literal

from mahavishnu.ai_env.changed import Changed, find_changed
from mahavishnu.ai_env.documents import ABSENT, Absent
from mahavishnu.ai_env.drift import changed_elements, changed_members
from mahavishnu.ai_env.journal import Entry, FileRecord, Record, recorded
from mahavishnu.ai_env.plan import Scope
from mahavishnu.ai_env.profiles import ClientName
from mahavishnu.ai_env.redaction import is_marked, redact
from mahavishnu.ai_env.settle import settle
from mahavishnu.ai_env.site import Site
from mahavishnu.identifiers import new_id


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
    salt = token_hex(16)
    return Entry(
        id=new_id(),
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        kind="adopt",
        profile=profile,
        scope=scope,
        salt=salt,
        files=tuple(_file_record(each, salt) for each in files),
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
        client=place.client.way.client,
        path=str(place.path),
        mode=place.memory.mode or "",
        records=tuple(records),
    )
