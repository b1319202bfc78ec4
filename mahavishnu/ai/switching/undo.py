"""Take a switch back: only what it wrote, and only where that stands as it was written."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from msgspec.structs import replace

from mahavishnu.ai.clients.port import Client
from mahavishnu.ai.clients.rights import reopen_modes
from mahavishnu.ai.clients.settings import session_running
from mahavishnu.ai.clients.table import ClientName
from mahavishnu.ai.foreign_files.documents import Document
from mahavishnu.ai.foreign_files.documents.port import show_path
from mahavishnu.ai.foreign_files.files import told
from mahavishnu.ai.foreign_files.merge import Effect, Remove, merge
from mahavishnu.ai.switching.apply import expect, new_entry, new_salt, records_of
from mahavishnu.ai.switching.journal import FileRecord, History, JournalEntry, Record, value_of
from mahavishnu.ai.switching.plan import SettingsPlace, changed_meanwhile
from mahavishnu.ai.switching.recovery import (
    Settled,
    find_place,
    held_journal,
    keys_of,
    whole_or_not,
    write_back,
)
from mahavishnu.ai.switching.redaction import keys_in, mark_of, marks_in
from mahavishnu.ai.switching.reversal import Reversal, reverse, state_of
from mahavishnu.ai.switching.site import Site
from mahavishnu.base.errors import Conflict, Forbidden, NotFound, UsageError
from mahavishnu.base.identifiers import parse_reference, shown


@dataclass(frozen=True)
class Undone:
    """
    What was taken back, and the entry of that, which names what could not come back.

    There is none where the switch was interrupted, and ended by being taken back.
    """

    switch: JournalEntry
    entry: JournalEntry | None
    settled: tuple[str, ...] = ()

    @property
    def clients(self) -> tuple[ClientName, ...]:
        """The clients whose settings were given back."""
        return tuple(file.client for file in (self.entry or self.switch).files)

    @property
    def lost(self) -> tuple[str, ...]:
        """The members whose keys could not come back."""
        return () if self.entry is None else self.entry.lost


@dataclass(frozen=True)
class _Part:
    place: SettingsPlace
    file: FileRecord
    reversal: Reversal
    effects: tuple[Effect, ...]


def undo(site: Site, reference: str | None = None, *, overwrite: bool = False) -> Undone:
    """
    Take a switch back: that of `reference` (an id, or how it ends), else the last that stands.

    Where the last was interrupted, to end it by taking it back is all that is done.

    Raises:
        NotFound: `ai.no_switch`.
        Conflict: `ai.undo_order`, `ai.already_undone`; `ai.changed_meanwhile`, `ai.key_away` without
            `overwrite`; `ai.session_running`.
        Forbidden: `ai.plain_key`.
        MahavishnuError: as `SettingsFile.edit`; what was taken back until then is as before.
    """
    with held_journal(site) as settled:
        history = settled.history
        if reference is None and (ended := _end_interrupted(settled)) is not None:
            return ended
        switched = choose(history, reference)
        settled.require([file.path for file in switched.files])
        keys = keys_of(site, history, switched)
        parts = [_plan(site, history, switched, file, keys, overwrite) for file in switched.files]
        salt = new_salt()
        entry = new_entry(
            "undo", switched.profile, switched.scope, salt,
            [_file_record(part, salt) for part in parts],
            undoes=switched.id,
            lost=tuple(show_path(path) for part in parts for path in part.reversal.lost),
        )  # fmt: skip
        if not overwrite:
            _require_keys(switched, entry)
        site.journal.intend(entry)
        _write(site, entry, parts)
        return Undone(switched, entry, settled.told)


def _require_keys(switched: JournalEntry, entry: JournalEntry) -> None:
    """Refuse to lose a key for good that is kept somewhere, and only cannot be read now."""
    away = [path for path in entry.lost if path not in switched.lost]
    if away and switched.is_moved:
        raise Conflict(
            f"The key at {', '.join(away)} was moved to {switched.key}, which no longer has it.",
            hint="Make it readable there, and undo again; --overwrite takes all else back without it.",
            code="ai.key_away",
        )


def _end_interrupted(settled: Settled) -> Undone | None:
    """Return what settling the last entry took back, if it did; raises why that is still open."""
    latest, history = settled.latest, settled.history
    if latest is None:
        return None
    for each in history.open:
        if each.id == latest.id:
            settled.require([file.path for file in each.files])
    done = next((each for each in history.done if each.id == latest.id), None)
    if latest.kind == "undo" and done is not None:
        switched = next(each for each in history.done if each.id == done.undoes)
        return Undone(switched, done, settled.told)
    if latest.kind != "undo" and done is None:
        return Undone(latest, None, settled.told)
    return None


def choose(history: History, reference: str | None) -> JournalEntry:
    """Return the switch that is to be taken back; one that others build on is refused."""
    in_effect = history.in_effect
    if reference is None:
        if not in_effect:
            raise NotFound("There is no switch to undo.", code="ai.no_switch")
        return in_effect[-1]
    found = find_entry(history, reference)
    if found.kind == "undo":
        raise UsageError(
            f"{shown(found.id)} is not a switch; it undid one.",
            hint="Switch again: mahavishnu ai switch-llm",
            code="ai.not_a_switch",
        )
    if found.id in history.undone:
        raise Conflict(f"{shown(found.id)} was already undone.", code="ai.already_undone")
    place = next(number for number, each in enumerate(in_effect) if each.id == found.id)
    found = in_effect[place]
    paths = {(file.client, file.path) for file in found.files}
    for later in reversed(in_effect[place + 1 :]):
        if any((file.client, file.path) in paths for file in later.files):
            raise Conflict(
                f"The {later.title} ({shown(later.id)}) came after it.",
                hint=f"Undo that first: mahavishnu ai undo {shown(later.id)}",
                code="ai.undo_order",
            )
    return found


def find_entry(history: History, reference: str) -> JournalEntry:
    """Return the one entry that an id, or its end, means."""
    wanted = parse_reference(reference)
    found = [
        entry
        for entry in history.done
        if (entry.id == wanted if isinstance(wanted, UUID) else entry.id.hex.endswith(wanted))
    ]
    if len(found) != 1:
        what = "No switch has" if not found else "Several switches have"
        raise NotFound(
            f"{what} an id that ends with {reference}.",
            hint="See them: mahavishnu ai history",
            code="ai.no_switch",
        )
    return found[0]


def _plan(
    site: Site,
    history: History,
    switched: JournalEntry,
    file: FileRecord,
    keys: Sequence[str],
    overwrite: bool,
) -> _Part:
    place = find_place(site, switched, file, history.remember(Path(file.path)))
    with told(place.path):
        document = site.open(place.client, place.path).read()
        # A session that runs may use the element of a list that another would replace.
        if place.running and any(record.kind == "exclude" for record in file.records):
            raise session_running(place.client.title)
        there = [
            key
            for record in file.records
            for key in keys_in(document.get(record.path), record.path, place.client.is_secret)
        ]  # an existing one may be just the one from before
        reversal = reverse(
            file.records, salt=switched.salt, keys=[*keys, *there], without=place.client.without
        )
        back, effects = merge(document, reversal.changes, {})
    _check_foreign(place, document, back, switched, file, overwrite)
    return _Part(place, file, reversal, effects)


def _check_foreign(
    place: SettingsPlace,
    document: Document,
    back: Document,
    switched: JournalEntry,
    file: FileRecord,
    overwrite: bool,
) -> None:
    """Refuse where what others wrote would go; `back` is the document as it would be."""
    client = place.client
    changed = [
        record
        for record in file.records
        if not place.is_shared(record.path)
        and record.before != record.after
        and state_of(record, document, client, switched.salt) == "other"
        # What a later undo put there, in the place of a key that was lost, is ours.
        and not place.is_as_written(record.path, document.get(record.path))
    ]
    # What was adopted is the user's, although it stands as the journal says.
    theirs = file.records if switched.kind == "adopt" else changed
    plain = [each.path for each in theirs if _loses_key(each, document, back, switched, client)]
    if plain:
        raise Forbidden(
            f"{place.path} holds a key in plain text that is not Mahavishnu's:"
            f" {', '.join(map(show_path, plain))}.",
            hint="Move it elsewhere, and empty the member; then try again.",
            code="ai.plain_key",
        )
    if changed and not overwrite:
        raise changed_meanwhile(place.path, (show_path(each.path) for each in changed))


def _loses_key(
    record: Record, document: Document, back: Document, switched: JournalEntry, client: Client
) -> bool:
    """Tell whether a key would go that is not one which was written by the switch."""
    path, salt = record.path, record.salt or switched.salt
    kept = keys_in(back.get(path), path, client.is_secret)
    ours = marks_in(value_of(record.after)) if switched.kind != "adopt" else frozenset()
    return any(
        key not in kept and mark_of(key, salt) not in ours
        for key in keys_in(document.get(path), path, client.is_secret)
    )


def _file_record(part: _Part, salt: str) -> FileRecord:
    # What is emptied first has to be removed with its parents by whoever settles this.
    made = {each.path: each.made for each in part.reversal.changes if isinstance(each, Remove)}
    records = [
        replace(record, made=made.get(record.path)) if record.kind == "remove" else record
        for record in records_of(part.effects, part.place.client, salt)
    ]
    return FileRecord(
        client=part.file.client,
        path=part.file.path,
        mode=part.file.mode,
        records=tuple(records),
        new=part.file.new or part.place.new,
        modes=(None, part.file.modes[1]) if part.reversal.private else part.file.modes,
    )


def _write(site: Site, entry: JournalEntry, parts: Sequence[_Part]) -> None:
    with whole_or_not(site, entry, [(part.place, part.effects) for part in parts]):
        for part in parts:
            changes, expected = part.reversal.changes, expect(part.effects)
            write_back(
                site, part.place, changes, expected,
                drop_empty=part.file.new, private=part.reversal.private,
            )  # fmt: skip
            with told(part.place.path):
                reopen_modes(part.place.path, part.file.modes, private=part.reversal.private)
        site.journal.finish(entry)
