"""
Bring what a switch left unfinished to an end, by looking at the disk: it stands whole, or not at all.

Where all files are new it is done; else those that are new are taken back. Only where a key that would
have to come back is lost do they stay, and the entry then names them alone. A session of Claude Code keeps a
variable that was removed: such a one is emptied first, and removed when every session has seen that.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from mahavishnu.ai.clients.port import Client
from mahavishnu.ai.clients.project import require_inside
from mahavishnu.ai.clients.rights import close_modes, reopen_modes
from mahavishnu.ai.clients.table import CLIENTS
from mahavishnu.ai.foreign_files.documents import (
    ABSENT,
    Absent,
    KeyPath,
    Value,
)
from mahavishnu.ai.foreign_files.files import told as naming
from mahavishnu.ai.foreign_files.merge import Change, Effect, Remove, Set
from mahavishnu.ai.secrets.reference import parse_reference
from mahavishnu.ai.secrets.resolve import resolve
from mahavishnu.ai.switching.journal import (
    FileHistory,
    FileRecord,
    History,
    JournalEntry,
    Record,
    value_of,
)
from mahavishnu.ai.switching.plan import SettingsPlace
from mahavishnu.ai.switching.redaction import is_marked, keys_in
from mahavishnu.ai.switching.reversal import MemberState, is_emptied, reverse, state_of
from mahavishnu.ai.switching.site import NOTICED, Site
from mahavishnu.base.errors import MahavishnuError


@dataclass(frozen=True)
class FileOnDisk:
    """One file of an entry as it is now: its records by what the disk says of each."""

    file: FileRecord
    place: SettingsPlace
    records: tuple[tuple[Record, MemberState], ...]
    leftovers: tuple[Change, ...]

    @property
    def is_new(self) -> bool:
        """Whether the entry's change is in the file."""
        return any(state == "after" for _, state in self.records)

    @property
    def ours(self) -> tuple[Record, ...]:
        """The records that nobody has changed since."""
        return tuple(record for record, state in self.records if state == "after")


@dataclass(frozen=True)
class Settled:
    """
    The history then, what to report, and the files for which an entry stays open, with the reason.

    `latest` is the entry that was open, where none came after it.
    """

    history: History
    told: tuple[str, ...]
    stuck: Mapping[str, MahavishnuError]
    latest: JournalEntry | None = None

    def require(self, paths: Collection[str]) -> None:
        """Refuse to go on with files that an entry is open for; raises the reason."""
        for path in paths:
            if path in self.stuck:
                raise self.stuck[path]


@contextmanager
def held_journal(site: Site) -> Iterator[Settled]:
    """Keep other processes of ours from switching meanwhile; what they left unfinished is settled first."""
    with site.journal.held():
        yield settle(site)


def settle(site: Site) -> Settled:
    """Settle every open entry that can be; the journal must be held."""
    journal = site.journal
    history = journal.read()
    told: list[str] = []
    stuck: dict[str, MahavishnuError] = {}
    for entry in history.open:
        try:
            told.append(settle_entry(site, entry, keys_of(site, history, entry)))
        except MahavishnuError as error:
            told.append(f"The interrupted {entry.title} stays open: {error.message}")
            left = next(each for each in journal.read().open if each.id == entry.id)
            stuck |= {file.path: error for file in left.files}
    latest = max((*history.done, *history.open), key=lambda each: each.id, default=None)
    return Settled(
        journal.read() if told else history,
        tuple(told),
        stuck,
        latest if latest in history.open else None,
    )


@contextmanager
def whole_or_not(
    site: Site, entry: JournalEntry, touched: Iterable[tuple[SettingsPlace, Sequence[Effect]]]
) -> Iterator[None]:
    """Take back what is written of an entry where what is done in here fails, and raise that."""
    try:
        yield
    except (MahavishnuError, KeyboardInterrupt):
        keys = [
            key
            for place, effects in touched
            for each in effects
            for key in keys_in(each.before, each.change.path, place.client.is_secret)
        ]
        with suppress(MahavishnuError):  # else it stays open, and the next command settles it
            settle_entry(site, entry, keys, back=True)
        raise


def settle_entry(
    site: Site, entry: JournalEntry, keys: Sequence[str], *, back: bool = False
) -> str:
    """
    Finish an entry or take it back; with `back`, the latter wherever that can be.

    Where a file cannot be read, the others are taken back, and the entry stays open for that one alone.

    Raises:
        MahavishnuError: why it stays open.
    """
    journal = site.journal
    found, unread = [], {}
    for file in entry.files:
        try:
            found.append(_find(site, entry, file))
        except MahavishnuError as error:
            unread[file.path] = error
    new = [each for each in found if each.is_new]
    what = f"The interrupted {entry.title}"
    if len(new) == len(found) and not back and not unread:
        for each in found:
            write_back(site, each.place, each.leftovers, {}, drop_empty=each.file.new)
            _set_modes(entry, each, stands=True)
        journal.finish(entry)
        return f"{what} was complete, and stands."
    stuck = []
    for each in new:
        reversal = reverse(each.ours, salt=entry.salt, keys=keys, without=each.place.client.without)
        if reversal.lost:
            stuck.append(each.file)
        else:
            write_back(
                site, each.place, reversal.changes, {},
                drop_empty=each.file.new, private=reversal.private,
            )  # fmt: skip
            _set_modes(entry, each, stands=False, private=reversal.private)
    if unread:
        left = [file for file in entry.files if file.path in unread or file in stuck]
        journal.intend(msgspec.structs.replace(entry, files=tuple(left)))
        raise next(iter(unread.values()))
    if stuck:
        journal.finish(entry, stuck)
        return f"{what} stands for {', '.join(each.client for each in stuck)} alone."
    journal.cancel(entry)
    return f"{what} was taken back."


def _set_modes(
    entry: JournalEntry, found: FileOnDisk, *, stands: bool, private: bool = False
) -> None:
    """Close a file and its folder to others where a switch stands, or the undoing of one does not."""
    path, modes = found.place.path, found.file.modes
    with naming(path):
        if stands == (entry.kind == "undo"):
            reopen_modes(path, modes, private=private)
        else:
            close_modes(path, modes)


def keys_of(site: Site, history: History, entry: JournalEntry) -> list[str]:
    """Return the raw keys that an entry replaced, among those that switches wrote, where they can be read."""
    if not any(is_marked(value_of(r.before)) for file in entry.files for r in file.records):
        return []
    references = {each.key for each in (*history.done, entry) if each.key is not None}
    keys = []
    for text in sorted(references):
        try:
            reference = parse_reference(text)
            keys.append(
                resolve(
                    reference, environ=site.environ, identity=site.identity, stores=site.stores
                ).reveal()
            )
        except MahavishnuError:
            continue  # what it stands for is then told to be lost
    return keys


def find_place(
    site: Site, entry: JournalEntry, file: FileRecord, memory: FileHistory | None = None
) -> SettingsPlace:
    """
    Return the place of a file that an entry of the journal names; `memory` is what is known of the file.

    Raises:
        Forbidden: `ai.outside_project`; a link was put in the way of a project's meanwhile.
    """
    if entry.scope == "project":
        require_inside(Path(file.path), Path(file.path).parent.parent)
    return SettingsPlace(
        client=CLIENTS[file.client],
        path=Path(file.path),
        make_folder=False,
        memory=memory or FileHistory(),
        running=bool(site.sessions_of(file.client)),
        new=not Path(file.path).exists(),
    )


def _find(site: Site, entry: JournalEntry, file: FileRecord) -> FileOnDisk:
    place = find_place(site, entry, file)
    document = site.open(place.client, place.path).read()
    states = tuple(
        (record, state_of(record, document, place.client, entry.salt)) for record in file.records
    )
    leftovers = tuple(
        Remove(r.path, r.made)
        for r in file.records
        if r.kind == "remove" and is_emptied(r.path, ABSENT, document.get(r.path), place.client)
    )
    return FileOnDisk(file, place, states, leftovers)


def write_back(
    site: Site,
    place: SettingsPlace,
    changes: Sequence[Change],
    expected: Mapping[KeyPath, Value | Absent],
    *,
    drop_empty: bool = False,
    private: bool = False,
) -> None:
    """
    Make changes that take others back, on the condition that members are what is `expected`.

    With `drop_empty` the file was made by what is taken back, and goes where nothing else is in it; with
    `private` a raw key comes back, and the file is its owner's alone. Raises as `SettingsFile.edit`.
    """
    file = site.open(place.client, place.path)
    softened = [_soften(change, place.client) for change in changes]
    if not place.running or softened == list(changes):
        file.edit(changes, expected=expected, drop_empty=drop_empty, private=private)
        return
    there = file.read()
    first = [
        soft
        for soft in softened
        if not (isinstance(soft, Set) and there.get(soft.path) is ABSENT and soft not in changes)
    ]
    file.edit(first, expected=expected, private=private)
    site.pause(NOTICED.total_seconds())
    removals = [each for each in changes if each not in softened]
    blank = {each.path: place.client.blank(each.path) for each in removals}
    file.edit(removals, expected=blank, drop_empty=drop_empty)


def _soften(change: Change, client: Client) -> Change:
    if isinstance(change, Remove):
        blank = client.blank(change.path)
        if not isinstance(blank, Absent):
            return Set(change.path, blank)
    return change
