"""
Give members of a client's file the values that they had before, and in a way that running sessions notice.

A session of Claude Code keeps a variable that was removed, and would go on with the old address or key:
such a one is emptied first, and removed when every session has seen that.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mahavishnu.ai_env.clients.port import Client
from mahavishnu.ai_env.delivery import NO_KEY
from mahavishnu.ai_env.documents import ABSENT, Absent, KeyPath, Value, same_value
from mahavishnu.ai_env.files import Edit
from mahavishnu.ai_env.journal import Record, value_of
from mahavishnu.ai_env.merge import Change, Exclude, Include, Remove, Set
from mahavishnu.ai_env.plan import Place
from mahavishnu.ai_env.redaction import is_marked, unmark
from mahavishnu.ai_env.site import NOTICED, Site


@dataclass(frozen=True)
class Reversal:
    """
    Changes that take records back, and the members whose keys are lost: they stay without.

    With `private` a raw key is among them.
    """

    changes: tuple[Change, ...]
    lost: tuple[KeyPath, ...] = ()
    private: bool = False


def reverse(
    records: Sequence[Record],
    *,
    salt: str = "",
    keys: Sequence[str] = (),
    without: Callable[[KeyPath], Value] = lambda _: NO_KEY,
) -> Reversal:
    """
    Return what takes the records back; marks become those of `keys` that they stand for.

    `without` gives what replaces a key that is not among them.
    """
    changes: list[Change] = []
    lost: list[KeyPath] = []
    private = False
    for record in reversed(records):
        before = value_of(record.before)
        if record.kind == "include":
            changes.append(Exclude(record.path, record.element, record.made))
        elif record.kind == "exclude":
            changes.append(Include(record.path, record.element))
        elif isinstance(before, Absent):
            if record.after is not record.before:
                changes.append(Remove(record.path, record.made))
        else:
            own = record.salt or salt
            value, whole = unmark(before, own, list(keys), without(record.path))
            if not same_value(before, value_of(record.after)):
                changes.append(Set(record.path, value))
            private = private or (whole and is_marked(before))
            if not whole:
                lost.append(record.path)
    return Reversal(tuple(changes), tuple(lost), private)


def write_back(
    site: Site,
    place: Place,
    changes: Sequence[Change],
    expected: Mapping[KeyPath, Value | Absent],
    *,
    drop_empty: bool = False,
    private: bool = False,
) -> Edit:
    """
    Make changes that take others back, on the condition that members are what is `expected`.

    With `drop_empty` the file was made by what is taken back, and goes where nothing else is in it; with
    `private` a raw key comes back, and the file is its owner's alone.

    Raises:
        MahavishnuError: as `SettingsFile.edit`.
    """
    file = site.open(place.client, place.path)
    softened = [_soften(change, place.client) for change in changes]
    if not place.running or softened == list(changes):
        return file.edit(changes, expected=expected, drop_empty=drop_empty, private=private)
    there = file.read()
    first = [
        soft
        for soft in softened
        if not (isinstance(soft, Set) and there.get(soft.path) is ABSENT and soft not in changes)
    ]
    done = file.edit(first, expected=expected, private=private)
    site.pause(NOTICED.total_seconds())
    removals = [each for each in changes if each not in softened]
    blank = {each.path: place.client.blank(each.path) for each in removals}
    file.edit(removals, expected=blank, drop_empty=drop_empty)
    return done


def _soften(change: Change, client: Client) -> Change:
    if isinstance(change, Remove):
        blank = client.blank(change.path)
        if not isinstance(blank, Absent):
            return Set(change.path, blank)
    return change
