"""What a switch would do, as data: which clients, which members of which files. Nothing is read or written."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from typing import Any, Literal

import msgspec

from mahavishnu.ai.clients.delivery import Delivery
from mahavishnu.ai.clients.port import Client
from mahavishnu.ai.clients.rights import Modes, open_modes_of
from mahavishnu.ai.clients.settings import Known
from mahavishnu.ai.clients.table import ClientName
from mahavishnu.ai.foreign_files.documents import (
    ABSENT,
    Absent,
    Document,
    KeyPath,
    Value,
    same_value,
)
from mahavishnu.ai.foreign_files.documents.port import show_path
from mahavishnu.ai.foreign_files.files import told
from mahavishnu.ai.foreign_files.merge import (
    Change,
    Effect,
    Exclude,
    Expected,
    Include,
    Remove,
    Set,
    merge,
)
from mahavishnu.ai.profiles.delivery import find_protocol
from mahavishnu.ai.profiles.profile import Profile
from mahavishnu.ai.switching.journal import (
    Entry,
    FileRecord,
    Memory,
    Record,
    Written,
    recorded,
    value_of,
)
from mahavishnu.ai.switching.redaction import IsSecret, has_key, marks_in, redact, shown
from mahavishnu.base.errors import Conflict, Forbidden
from mahavishnu.base.identifiers import new_id

type Scope = Literal["user", "project"]

_MOVE = "--move-key keyring:mahavishnu moves it into the keyring in the same command. "


@dataclass(frozen=True)
class Place:
    """One client's settings: the file, whether its folder may be made, what is known of it, whether it is not there."""

    client: Client
    path: Path
    make_folder: bool
    memory: Memory
    running: bool
    project: bool = False
    new: bool = False

    @property
    def known(self) -> Known:
        """What the client may go by."""
        memory = self.memory
        return Known(memory.originals, memory.adopted, memory.made, self.running, self.project)

    def open_modes(self, environ: Mapping[str, str]) -> Modes:
        """
        Return the modes of settings that others can use; a project's are shared by its nature.

        Raises:
            MahavishnuError: the modes cannot be read.
        """
        if self.project:
            return None, None
        with told(self.path):
            return open_modes_of(self.path, self.client, environ)


@dataclass(frozen=True)
class FilePlan:
    """
    The changes to one file, and what they would do to it as it is.

    `conflicts` are members that are no longer as we left them, `plain_keys` those that hold a key
    which is not ours and would be gone.
    """

    place: Place
    delivery: Delivery
    changes: tuple[Change, ...]
    effects: tuple[Effect, ...]
    conflicts: tuple[KeyPath, ...]
    plain_keys: tuple[KeyPath, ...]

    @property
    def changed(self) -> bool:
        """Whether the file would be another."""
        return any(not same_value(each.before, each.after) for each in self.effects)

    @property
    def name(self) -> ClientName:
        """The client's."""
        return self.place.client.name


@dataclass(frozen=True)
class Unchanged:
    """A client that stays as it is, and why."""

    client: ClientName
    reason: str


@dataclass(frozen=True)
class Plan:
    """A whole switch."""

    profile: Profile
    scope: Scope
    files: tuple[FilePlan, ...]
    unchanged: tuple[Unchanged, ...] = ()
    notes: tuple[str, ...] = field(default=())


def why_not(profile: Profile, client: Client, scope: Scope) -> str | None:
    """Return why a client cannot be given the profile; None where it can."""
    name, title = client.name, client.title
    if scope == "project" and client.project_file(Path()) is None:
        return f"{title} takes no provider from a project"
    if profile.clients is not None and name not in profile.clients:
        return f"the profile is not for {title}"
    if find_protocol(profile, name) is None:
        if profile.auth == "native":
            return f"the profile is the sign-in of another client than {title}"
        return f"{title} {client.unspoken}"
    if client.needs_model and profile.model is None:
        return f"the profile names no model, which {title} needs"
    return None


def plan_file(place: Place, document: Document, delivery: Delivery) -> FilePlan:
    """
    Return what points a client at a profile.

    Raises:
        MahavishnuError: as `Client.check`, `Client.changes` and `merge`.
    """
    client = place.client
    client.check(document)
    known = known_for(place, document, delivery)
    return plan_changes(place, document, delivery, client.changes(document, delivery, known))


def known_for(place: Place, document: Document, delivery: Delivery) -> Known:
    """
    Return what the client may go by.

    Where another has led it from its own sign-in to a provider, what is in members that were given
    back to the user is that one's, and they have to be again what they were given back as.
    """
    known, client, memory = place.known, place.client, place.memory
    if not memory.mode == delivery.mode == "native" or not _leads_elsewhere(document, client):
        return known
    touched = {change.path for change in client.changes(document, delivery, known)}
    before: dict[KeyPath, Value | Absent] = {
        path: memory.freed.get(path, ABSENT) for path in {*touched, *memory.freed}
    }
    return replace(known, originals={**before, **known.originals})


def _leads_elsewhere(document: Document, client: Client) -> bool:
    seen = client.see(document)
    return bool(seen.key) or seen.url not in ("", client.own_url)


def plan_changes(
    place: Place, document: Document, delivery: Delivery, changes: Sequence[Change]
) -> FilePlan:
    """Return what these changes would do; raises as `merge`."""
    _, effects = merge(document, changes, {})
    touched = [each for each in effects if not same_value(each.before, each.after)]
    single = [each for each in touched if isinstance(each.change, Set | Remove)]
    return FilePlan(
        place,
        delivery,
        tuple(changes),
        effects,
        tuple(each.change.path for each in single if _is_foreign(each, place)),
        tuple(each.change.path for each in single if _is_plain_key(each, place)),
    )


def _is_foreign(effect: Effect, place: Place) -> bool:
    path = effect.change.path
    written = place.memory.written.get(path)
    if written is None or path in place.client.shared:
        return False
    return not is_as_written(effect, written, place.client)


def _is_plain_key(effect: Effect, place: Place) -> bool:
    path, secret = effect.change.path, place.client.is_secret
    written = place.memory.written.get(path)
    if written is None:
        return has_key(effect.before, path, secret)
    ours = marks_in(written.value) - written.foreign
    return bool(marks_in(redact(effect.before, path, secret, written.salt)) - ours)


def is_as_written(effect: Effect, written: Written, client: Client) -> bool:
    """Tell whether a member is still what the journal says that we wrote."""
    now = redact(effect.before, effect.change.path, client.is_secret, written.salt)
    return same_value(now, written.value)


def _advise(file: FilePlan) -> str:
    """Return how the keys can be kept: those that stand alone can be moved, others are in a longer text."""
    if not all(map(file.place.client.is_secret, file.plain_keys)):
        return "Let the command, address or header do without the key in its text. "
    return _MOVE


def check_plan(plan: Plan, *, overwrite: bool, forget_keys: bool) -> None:
    """
    Refuse what would lose something.

    Raises:
        Forbidden: `ai.plain_key`.
        Conflict: `ai.changed_meanwhile`.
    """
    for file in plan.files:
        if file.plain_keys and not forget_keys:
            raise Forbidden(
                f"{file.place.path} holds a key in plain text that is not Mahavishnu's, and a switch"
                f" would take it away: {', '.join(map(show_path, file.plain_keys))}.",
                hint=f"{_advise(file)}--forget-keys gives it up, and undo cannot bring it back.",
                code="ai.plain_key",
            )
        if file.conflicts and not overwrite:
            raise Conflict(
                f"What Mahavishnu wrote to {file.place.path} was changed by hand or by a program:"
                f" {', '.join(map(show_path, file.conflicts))}.",
                hint="Look at it with mahavishnu ai diff. mahavishnu ai adopt accepts it, --overwrite gives it up.",
                code="ai.changed_meanwhile",
            )


def records_of(effects: Sequence[Effect], is_free: Callable[[KeyPath], bool]) -> tuple[Record, ...]:
    """Return effects as the journal has them, keys not yet marked; lists without what is the user's."""
    records = []
    for effect in effects:
        change, path = effect.change, effect.change.path
        if isinstance(change, Include | Exclude):
            if not same_value(effect.before, effect.after):
                kind: Literal["include", "exclude"] = (
                    "include" if isinstance(change, Include) else "exclude"
                )
                records.append(Record(kind, path, made=effect.made, element=change.element))
            continue
        records.append(
            Record(
                "set" if isinstance(change, Set) else "remove",
                path,
                recorded(effect.before),
                recorded(effect.after),
                effect.made,
                free=is_free(path),
            )
        )
    return tuple(records)


def mark(record: Record, is_secret: IsSecret, salt: str) -> Record:
    """Return a record with marks for the keys in it."""
    before = redact(value_of(record.before), record.path, is_secret, salt)
    after = redact(value_of(record.after), record.path, is_secret, salt)
    return msgspec.structs.replace(record, before=recorded(before), after=recorded(after))


def expect(effects: Sequence[Effect]) -> Expected:
    """Return what was there when it was planned: what came in between is not buried."""
    return {
        each.change.path: each.before
        for each in effects
        if isinstance(each.change, Set | Remove)
    }  # fmt: skip


def new_entry(
    kind: Literal["switch", "undo", "adopt", "restore"],
    profile: str,
    scope: str,
    files: Callable[[str], Iterable[FileRecord]],
    **more: Any,
) -> Entry:
    """Return an entry of now; `files` gives its files, with marks by the salt that it is given."""
    salt = token_hex(16)
    at = datetime.now(UTC).isoformat(timespec="seconds")
    made = tuple(files(salt))
    return Entry(
        id=new_id(), at=at, kind=kind, profile=profile, scope=scope, salt=salt, files=made, **more
    )


@dataclass(frozen=True)
class MemberChange:
    """A member before and after; of a list, the element alone."""

    path: KeyPath
    before: Value | Absent
    after: Value | Absent


def member_changes(file: FilePlan) -> Iterator[MemberChange]:
    """Yield the members that change."""
    secret = file.place.client.is_secret
    for effect in file.effects:
        change, path = effect.change, effect.change.path
        if same_value(effect.before, effect.after):
            continue
        before, after = shown(effect.before, path, secret), shown(effect.after, path, secret)
        if isinstance(change, Include | Exclude):
            element = shown(change.element, path, secret)
            before, after = (ABSENT, element) if isinstance(change, Include) else (element, ABSENT)
        yield MemberChange(path, before, after)
