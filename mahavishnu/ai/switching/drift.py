"""What was changed in a client's settings since we wrote them, and what would write it again. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from mahavishnu.ai.clients.settings import Seen
from mahavishnu.ai.foreign_files.documents import (
    ABSENT,
    Absent,
    Document,
    KeyPath,
    Value,
    same_value,
)
from mahavishnu.ai.foreign_files.merge import Change, Exclude, Include, Remove, Set, merge
from mahavishnu.ai.secrets.binding import Origin, origin_of
from mahavishnu.ai.switching.journal import Written
from mahavishnu.ai.switching.plan import Place
from mahavishnu.ai.switching.redaction import marks_in, redact, shown, shown_record, unmark
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
    written: Written
    now: Value | Absent


class Element(NamedTuple):
    """An element of ours that a list has no longer, and the one that came in its place."""

    path: KeyPath
    written: Value
    now: Value | Absent


@dataclass(frozen=True)
class Replay:
    """Changes by which everything is again as it was written, and the members whose keys they lack."""

    changes: tuple[Change, ...]
    lost: tuple[KeyPath, ...] = ()


def find_drift(place: Place, document: Document) -> tuple[Drift, ...]:
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


def changed_members(place: Place, document: Document) -> Iterator[Member]:
    """Yield the members of ours that say something else; what is the user's to choose is passed over."""
    client = place.client
    chosen = [path for path in client.shared if path not in client.writes]
    for path, written in place.memory.written.items():
        if path in chosen:
            continue
        now = document.get(path)
        marked = redact(now, path, client.is_secret, written.salt)
        emptied = written.value is ABSENT and now is not ABSENT and now == client.blank(path)
        if not emptied and not same_value(marked, written.value):
            yield Member(path, written, now)


def changed_elements(place: Place, document: Document) -> Iterator[Element]:
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
                yield Element(path, each, _find_successor(each, there, elements))


def _find_successor(
    element: Value, there: Sequence[Value], ours: Sequence[Value]
) -> Value | Absent:
    name = element.get("name") if isinstance(element, dict) else None
    for other in there:
        named = isinstance(other, dict) and other.get("name") == name
        if named and not any(same_value(other, each) for each in ours):
            return other
    return ABSENT


def replay(place: Place, document: Document, keys: Sequence[str] = ()) -> Replay:
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
    return Replay(tuple(changes), tuple(lost))


def find_warning(place: Place, document: Document) -> str:
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


def _origin(place: Place, seen: Seen) -> Origin | None:
    try:
        return origin_of(seen.url or _own_url(place))
    except UsageError:
        return None


def _own_url(place: Place) -> str:
    """Return where the client goes when no address is named."""
    return place.client.own_url


def _keeps_key(place: Place, document: Document) -> bool:
    """Tell whether a raw key that we wrote still stands where we wrote it."""
    secret = place.client.is_secret
    return any(
        marks_in(written.value) & marks_in(redact(document.get(path), path, secret, written.salt))
        for path, written in place.memory.written.items()
    )
