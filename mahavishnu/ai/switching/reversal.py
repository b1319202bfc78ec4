"""What takes records of the journal back, and on which side of a record a file is. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from mahavishnu.ai.clients.delivery import NO_KEY
from mahavishnu.ai.clients.port import Client
from mahavishnu.ai.foreign_files.documents import (
    ABSENT,
    Absent,
    Document,
    KeyPath,
    Value,
    same_value,
)
from mahavishnu.ai.foreign_files.merge import Change, Exclude, Include, Remove, Set
from mahavishnu.ai.switching.journal import Record, value_of
from mahavishnu.ai.switching.redaction import is_marked, redact, unmark

type MemberState = Literal["before", "after", "other"]


def state_of(record: Record, document: Document, client: Client, salt: str) -> MemberState:
    """Tell which side of a record a document is on; of one that changes nothing, before."""
    now = document.get(record.path)
    if record.kind in ("include", "exclude"):
        elements = now if isinstance(now, list) else []
        there = any(same_value(each, record.element) for each in elements)
        return "after" if there == (record.kind == "include") else "before"
    marked = redact(now, record.path, client.is_secret, record.salt or salt)
    if same_value(marked, value_of(record.before)):
        return "before"
    if same_value(marked, value_of(record.after)) or is_emptied(
        record.path, value_of(record.after), now, client
    ):
        return "after"
    return "other"


def is_emptied(path: KeyPath, written: Value | Absent, now: Value | Absent, client: Client) -> bool:
    """Tell whether a member that was to be removed is emptied so far, for a session that runs."""
    blank = client.blank(path)
    return written is ABSENT and blank is not ABSENT and same_value(now, blank)


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
    Return what takes the records back; marks become the `keys` behind them.

    `without` gives the value for a key that is not among them.
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
