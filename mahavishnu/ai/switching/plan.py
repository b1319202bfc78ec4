"""What a switch would do, as data: which clients, which members of which files. Nothing is read or written."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from mahavishnu.ai.clients.delivery import Delivery
from mahavishnu.ai.clients.port import Client
from mahavishnu.ai.clients.rights import Modes, open_modes_of
from mahavishnu.ai.clients.settings import Known
from mahavishnu.ai.clients.settings import Scope as Scope
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
    Include,
    Remove,
    Set,
    merge,
)
from mahavishnu.ai.profiles.profile import Profile
from mahavishnu.ai.routes.routes import FILE as ROUTES
from mahavishnu.ai.switching.journal import (
    FileHistory,
)
from mahavishnu.ai.switching.redaction import has_key, marks_in, redact, shown
from mahavishnu.base.errors import Conflict, Forbidden

_MOVE = "--move-key keyring:mahavishnu moves it into the keyring in the same command. "


@dataclass(frozen=True)
class SettingsPlace:
    """One client's settings: the file, whether its folder may be made, what is known of it, whether it is not there."""

    client: Client
    path: Path
    make_folder: bool
    memory: FileHistory
    running: bool
    project: bool = False
    new: bool = False

    @property
    def known(self) -> Known:
        """What the client may go by."""
        memory = self.memory
        return Known(memory.originals, memory.adopted, memory.made, self.running, self.project)

    def is_as_written(self, path: KeyPath, now: Value | Absent) -> bool:
        """Tell whether a member still says what we wrote last; keys are compared by their marks."""
        written = self.memory.written.get(path)
        if written is None:
            return False
        marked = redact(now, path, self.client.is_secret, written.salt)
        return same_value(marked, written.value)

    @property
    def is_route(self) -> bool:
        """Whether it is the file of the gateway's routes, which is ours."""
        return self.path.name == ROUTES

    def is_shared(self, path: KeyPath) -> bool:
        """Tell whether another value of a member is no conflict."""
        return self.is_route or path in self.client.shared

    def is_changed(self, path: KeyPath, now: Value | Absent) -> bool:
        """Tell whether a member of ours, which is not the user's to choose, says something else."""
        ours = path in self.memory.written and not self.is_shared(path)
        return ours and not self.is_as_written(path, now)

    def open_modes(self, environ: Mapping[str, str]) -> Modes:
        """Return the modes of settings that others can use; a project's are shared by its nature."""
        if self.project:
            return None, None
        with told(self.path):
            return open_modes_of(self.path, self.client, environ)


@dataclass(frozen=True)
class FilePlan:
    """
    The changes to one file, and what they would do to it as it is.

    `conflicts` are members that are no longer as we left them, `plain_keys` those that hold a key
    which is not ours and would be gone. `via` says that it points the client at the gateway.
    """

    place: SettingsPlace
    delivery: Delivery
    changes: tuple[Change, ...]
    effects: tuple[Effect, ...]
    conflicts: tuple[KeyPath, ...]
    plain_keys: tuple[KeyPath, ...]
    via: str = ""

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
class SwitchPlan:
    """A whole switch."""

    profile: Profile
    scope: Scope
    files: tuple[FilePlan, ...]
    unchanged: tuple[Unchanged, ...] = ()
    notes: tuple[str, ...] = field(default=())


def plan_file(place: SettingsPlace, document: Document, delivery: Delivery) -> FilePlan:
    """Return what points a client at a profile; raises as `Client.check`, `Client.changes` and `merge`."""
    client = place.client
    client.check(document)
    known = known_for(place, document, delivery)
    return plan_changes(place, document, delivery, client.changes(document, delivery, known))


def known_for(place: SettingsPlace, document: Document, delivery: Delivery) -> Known:
    """
    Return what the client may go by.

    Where another has led it from its own sign-in to a provider, what is in members that were given
    back to the user is that one's, and they have to be again what they were given back as.
    """
    known, client, memory = place.known, place.client, place.memory
    if not memory.mode == delivery.mode == "native":
        return known
    seen = client.see(document)
    if not seen.key and seen.url in ("", client.own_url):
        return known
    touched = {change.path for change in client.changes(document, delivery, known)}
    before: dict[KeyPath, Value | Absent] = {
        path: memory.freed.get(path, ABSENT) for path in {*touched, *memory.freed}
    }
    return replace(known, originals={**before, **known.originals})


def plan_changes(
    place: SettingsPlace, document: Document, delivery: Delivery, changes: Sequence[Change]
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
        tuple(
            each.change.path for each in single if place.is_changed(each.change.path, each.before)
        ),
        tuple(each.change.path for each in single if _is_plain_key(each, place)),
    )


def _is_plain_key(effect: Effect, place: SettingsPlace) -> bool:
    path, secret = effect.change.path, place.client.is_secret
    written = place.memory.written.get(path)
    if written is None:
        return has_key(effect.before, path, secret)
    ours = marks_in(written.value) - written.foreign
    return bool(marks_in(redact(effect.before, path, secret, written.salt)) - ours)


def _advise(file: FilePlan) -> str:
    """Return how the keys can be kept: those that stand alone can be moved, others are in a longer text."""
    if not all(map(file.place.client.is_secret, file.plain_keys)):
        return "Let the command, address or header do without the key in its text. "
    return _MOVE


def check_plan(plan: SwitchPlan, *, overwrite: bool, forget_keys: bool) -> None:
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
                hint=f"{_advise(file)}--forget-keys discards it, and undo cannot restore it.",
                code="ai.plain_key",
            )
        if file.conflicts and not overwrite:
            raise changed_meanwhile(
                file.place.path,
                map(show_path, file.conflicts),
                hint="Look at it with mahavishnu ai diff. mahavishnu ai adopt accepts it, --overwrite discards it.",
            )


def changed_meanwhile(
    path: Path,
    members: Iterable[str],
    *,
    hint: str = "Look at it with mahavishnu ai diff; --overwrite gives it up.",
) -> Conflict:
    """Return the error of a file that another wrote to since."""
    return Conflict(
        f"What Mahavishnu wrote to {path} was changed by hand or by a program: {', '.join(members)}.",
        hint=hint,
        code="ai.changed_meanwhile",
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
