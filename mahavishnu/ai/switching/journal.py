"""
The journal of switches: what each wrote to whose file, and what was there before; keys as marks.

A line of JSON says what is intended, is on the disk before any file is touched, and counts when another
line says that it is done. What a killed process leaves open is settled by `recovery.py`.
"""

import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import msgspec

from mahavishnu.ai.clients.table import ClientName
from mahavishnu.ai.foreign_files.documents import ABSENT, Absent, KeyPath, Value, same_value
from mahavishnu.ai.foreign_files.files import told
from mahavishnu.ai.foreign_files.locks import locked
from mahavishnu.ai.switching.redaction import is_marked, marks_in
from mahavishnu.base import files
from mahavishnu.base.errors import Corrupt, UsageError
from mahavishnu.base.paths import private_folder

type ChangeKind = Literal["set", "remove", "include", "exclude"]
type EntryKind = Literal["switch", "undo", "adopt", "restore"]
PATIENCE = timedelta(seconds=15)


class Record(msgspec.Struct, frozen=True, omit_defaults=True):
    """
    What became of one member, or of one element of a list.

    An absent value is UNSET. `free` says that the member was given back to the user by this; `salt` is
    that of its marks, where it is not the entry's.
    """

    kind: ChangeKind
    path: KeyPath
    before: Any = msgspec.UNSET
    after: Any = msgspec.UNSET
    made: KeyPath | None = None
    element: Any = None
    free: bool = False
    salt: str | None = None


class FileRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """
    What was done to one file, in order; `new`: the switch made it, `modes`: of it and its folder, were open.

    `via` says that the client was pointed at the gateway, whose file of routes has one of these for each client.
    """

    client: ClientName
    path: str
    mode: str
    records: tuple[Record, ...]
    new: bool = False
    modes: tuple[int | None, int | None] = (None, None)
    via: str = ""


class JournalEntry(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="line", tag="intent"):
    """
    One switch, the undoing of one, or what became of a file that was changed after one.

    An `adopt` takes what is there for written, and changes no file; a `restore` writes again what was
    written. `key` is the reference of a raw key that was written, or with `is_moved` taken out; `lost` are
    members of the user whose keys cannot be brought back.
    """

    id: UUID
    at: str
    kind: EntryKind
    profile: str
    scope: str
    salt: str
    files: tuple[FileRecord, ...]
    key: str | None = None
    undoes: UUID | None = None
    lost: tuple[str, ...] = ()
    is_moved: bool = False

    @property
    def title(self) -> str:
        """What it is called in a sentence."""
        return title_of(self.kind, self.profile)


def title_of(kind: str, profile: str) -> str:
    """Return what an entry is called in a sentence."""
    words = {"adopt": "adoption of what was changed after", "restore": "restoring of"}
    return f"{words.get(kind, f'{kind} to')} {profile}"


class EntryDone(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="line", tag="done"):
    """The entry's files are written; `files` where it came otherwise than intended."""

    id: UUID
    files: tuple[FileRecord, ...] | None = None


class EntryCancelled(msgspec.Struct, frozen=True, tag_field="line", tag="cancelled"):
    """Nothing of the entry stands."""

    id: UUID


_decoder = msgspec.json.Decoder(JournalEntry | EntryDone | EntryCancelled)


@dataclass(frozen=True)
class WrittenMember:
    """
    What we wrote to a member last: the value as recorded, and the salt of its marks.

    What was `adopted` another has written; `foreign` has the marks of keys that came so, and that are
    not ours to give up.
    """

    value: Value | Absent
    salt: str
    adopted: bool = False
    foreign: frozenset[str] = frozenset()


@dataclass
class FileHistory:
    """
    What the journal knows about one file; see `Known` for originals, adopted and made.

    `freed` has what members were given back with, `elements` those of ours in lists, with the salts
    of marks in them; `profile`, `mode`, `via` and `key` (the reference of a raw one) are those of the last switch.
    """

    written: dict[KeyPath, WrittenMember] = field(default_factory=dict)
    originals: dict[KeyPath, Value | Absent] = field(default_factory=dict)
    adopted: dict[KeyPath, Value | Absent] = field(default_factory=dict)
    made: dict[KeyPath, KeyPath] = field(default_factory=dict)
    freed: dict[KeyPath, Value | Absent] = field(default_factory=dict)
    elements: dict[KeyPath, list[Value]] = field(default_factory=dict)
    element_salts: dict[KeyPath, tuple[str, ...]] = field(default_factory=dict)
    profile: str | None = None
    mode: str | None = None
    key: str | None = None
    via: str = ""

    def learn(self, record: Record, salt: str, *, adopted: bool) -> None:
        """Note what a record says."""
        path, after, before = record.path, value_of(record.after), value_of(record.before)
        if record.kind in ("include", "exclude"):
            others = [e for e in self.elements.get(path, []) if not same_value(e, record.element)]
            self.elements[path] = [*others, *([record.element] if record.kind == "include" else [])]
            if is_marked(record.element):
                self.element_salts[path] = (*self.element_salts.get(path, ()), record.salt or salt)
            return
        if record.free:
            for each in (self.written, self.originals, self.adopted, self.made):
                each.pop(path, None)
            self.freed[path] = ABSENT if is_marked(after) else after
            return
        self.freed.pop(path, None)
        came: frozenset[str] = frozenset()
        if adopted:
            self.adopted[path] = ABSENT if is_marked(after) else after
            earlier = self.written[path].foreign if path in self.written else frozenset()
            came = marks_in(after) - (marks_in(before) - earlier)
        self.written[path] = WrittenMember(after, record.salt or salt, adopted, came)
        self.originals.setdefault(path, ABSENT if is_marked(before) else before)
        if record.made is not None:
            self.made.setdefault(path, record.made)

    def lose(self, record: Record, salt: str) -> None:
        """Note what an undo put in the place of a key that it could not bring back: that is ours too."""
        after, written = value_of(record.after), self.written.get(record.path)
        if written is not None and len(marks_in(after)) < len(marks_in(written.value)):
            self.written[record.path] = WrittenMember(after, record.salt or salt)


@dataclass(frozen=True)
class History:
    """All entries, oldest first: what is done, and what is open."""

    done: tuple[JournalEntry, ...]
    open: tuple[JournalEntry, ...]

    @property
    def undone(self) -> frozenset[UUID]:
        """The switches of which nothing stands."""
        in_effect = {each.id for each in self.in_effect}
        return frozenset(e.id for e in self.done if e.kind == "switch" and e.id not in in_effect)

    @property
    def in_effect(self) -> tuple[JournalEntry, ...]:
        """Switches, adoptions and restorings that were not taken back; of one that was in part, what is left."""
        gone = {(each.undoes, file.client, file.path) for each in self.done for file in each.files}
        found = []
        for each in self.done:
            left = tuple(f for f in each.files if (each.id, f.client, f.path) not in gone)
            if each.kind != "undo" and left:
                found.append(msgspec.structs.replace(each, files=left))
        return tuple(found)

    def as_of(self, seconds: float) -> "History":
        """Return what was done by a time, in seconds since the epoch."""
        return History(tuple(each for each in self.done if made_at(each) <= seconds), ())

    def since(self, seconds: float, path: Path) -> bool:
        """Tell whether we changed the file after a time."""
        return any(
            made_at(each) > seconds and any(file.path == str(path) for file in each.files)
            for each in self.done
        )

    def is_of_another(self, seconds: float, path: Path, apart: Collection[KeyPath]) -> bool:
        """
        Tell whether at a time the file may have said what another wrote; members `apart` do not count.

        That was adopted by then, or the next of our entries found it: when it came is not known.
        """
        past = self.as_of(seconds)
        memory = past.remember(path)
        files = [f for e in past.in_effect[-1:] if e.kind == "adopt" for f in e.files]
        if any(each.adopted for name, each in memory.written.items() if name not in apart) or any(
            record.element is not None for f in files if f.path == str(path) for record in f.records
        ):
            return True
        later = (e for e in self.done if made_at(e) > seconds)
        found = next((f for e in later for f in e.files if f.path == str(path)), None)
        return found is not None and any(
            _is_found(record, memory) for record in found.records if record.path not in apart
        )

    def remember(self, path: Path) -> FileHistory:
        """Return what is known about the file, from the switches that stand."""
        memory = FileHistory()
        for entry in self.in_effect:
            for each in entry.files:
                if each.path != str(path):
                    continue
                memory.profile, memory.mode, memory.via = entry.profile, each.mode, each.via
                memory.key = memory.key if entry.kind == "adopt" else entry.key
                for record in each.records:
                    memory.learn(record, entry.salt, adopted=entry.kind == "adopt")
        last = {
            record.path: (record, entry)
            for entry in self.done for file in entry.files if file.path == str(path)
            for record in file.records if record.kind in ("set", "remove")
        }  # fmt: skip
        for record, entry in last.values():
            if entry.kind == "undo":
                memory.lose(record, entry.salt)
        return memory


def _is_found(record: Record, memory: FileHistory) -> bool:
    """Tell whether an entry found something else where we had written; keys are not compared."""
    written, before = memory.written.get(record.path), value_of(record.before)
    if record.kind not in ("set", "remove") or written is None:
        return False
    if is_marked(before) or is_marked(written.value):
        return False
    nothing = (ABSENT, "")  # what is removed may be emptied first
    same = same_value(before, written.value) or (before in nothing and written.value in nothing)
    return not same


def made_at(entry: JournalEntry) -> float:
    """Return when an entry was made, in seconds since the epoch: its id holds the milliseconds."""
    return (entry.id.int >> 80) / 1000


def value_of(recorded: Any) -> Value | Absent:
    """Return a recorded value, ABSENT where there was none."""
    return ABSENT if recorded is msgspec.UNSET else recorded


def recorded(value: Value | Absent) -> Any:
    """Return a value as a record has it."""
    return msgspec.UNSET if value is ABSENT else value


@dataclass(frozen=True)
class Journal:
    """The file, and the folder of our locks."""

    path: Path
    locks: Path

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other processes of ours from switching meanwhile."""
        with ExitStack() as turn:
            with told(self.path):
                turn.enter_context(locked(self.path.resolve(), self.locks, timeout=PATIENCE))
            yield

    def read(self) -> History:
        """
        Return what the journal says; a last line that was not ended is passed over.

        Raises:
            Corrupt: `ai.journal_damaged`.
        """
        with told(self.path):
            try:
                content = self.path.read_bytes()
            except FileNotFoundError:
                content = b""
        intended: dict[UUID, JournalEntry] = {}
        closed: dict[UUID, EntryDone | EntryCancelled] = {}
        for number, line in enumerate(content.split(b"\n")[:-1], start=1):
            try:
                said = _decoder.decode(line)
            except msgspec.DecodeError as error:
                raise self._damaged(number) from error
            if isinstance(said, JournalEntry):
                intended[said.id] = said  # a later one has what is left of it
                if said.kind == "adopt":
                    closed[said.id] = EntryDone(said.id)
            elif said.id in intended:
                closed[said.id] = said  # the last word counts: a failure may follow "done"
            else:
                raise self._damaged(number)
        done = (
            entry if said.files is None else msgspec.structs.replace(entry, files=said.files)
            for entry in intended.values()
            if isinstance(said := closed.get(entry.id), EntryDone)
        )
        return History(tuple(done), tuple(e for e in intended.values() if e.id not in closed))

    def _damaged(self, number: int) -> Corrupt:
        return Corrupt(
            f"Line {number} of {self.path} is damaged.",
            hint="Move the file away; switches before that can then not be undone.",
            code="ai.journal_damaged",
        )

    def intend(self, entry: JournalEntry) -> None:
        """Write down what is going to be done, durably; an adoption is done with that."""
        self._append(entry)

    def finish(self, entry: JournalEntry, files: Sequence[FileRecord] | None = None) -> None:
        """Write down that it is done, with `files` where they are others than intended."""
        self._append(EntryDone(entry.id, None if files is None else tuple(files)))

    def cancel(self, entry: JournalEntry) -> None:
        """Write down that nothing of it stands."""
        self._append(EntryCancelled(entry.id))

    def _append(self, line: JournalEntry | EntryDone | EntryCancelled) -> None:
        try:
            content = msgspec.json.encode(line) + b"\n"
        except UnicodeEncodeError as error:
            raise UsageError(
                "The path of a client's settings is not UTF-8, and cannot be kept in the journal.",
                hint="Rename the folder.",
                code="ai.path_encoding",
            ) from error
        with told(self.path):
            new = not self.path.exists()
            private_folder(self.path.parent)
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            descriptor = os.open(self.path, flags, 0o600)
            try:
                _append_whole(descriptor, content)
            finally:
                os.close(descriptor)
            if new:
                files.sync_folder(self.path.parent)


def _append_whole(descriptor: int, content: bytes) -> None:
    """Write behind the last whole line: what a killed process left of one goes."""
    size = os.fstat(descriptor).st_size
    if size and os.pread(descriptor, 1, size - 1) != b"\n":
        os.ftruncate(descriptor, os.pread(descriptor, size, 0).rfind(b"\n") + 1)
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]
    os.fsync(descriptor)
