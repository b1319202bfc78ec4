"""Three-way merge of owned members: what was last written, what is there, what is wanted. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mahavishnu.ai.foreign_files.documents import (
    ABSENT,
    Absent,
    Document,
    KeyPath,
    Value,
    same_value,
)
from mahavishnu.ai.foreign_files.documents.port import made_by


@dataclass(frozen=True)
class Set:
    """The member has this value."""

    path: KeyPath
    value: Value


@dataclass(frozen=True)
class Remove:
    """There is no such member; parents that this empties go too, up to `made`."""

    path: KeyPath
    made: KeyPath | None = None


@dataclass(frozen=True)
class Include:
    """The list holds this element, among others."""

    path: KeyPath
    element: Value


@dataclass(frozen=True)
class Exclude:
    """The list does not hold this element; what that empties goes too, up to `made`."""

    path: KeyPath
    element: Value
    made: KeyPath | None = None


type Change = Set | Remove | Include | Exclude
type ExpectedValues = Mapping[KeyPath, Value | Absent]


@dataclass(frozen=True)
class Effect:
    """
    What a change does to the member at its path: the values before and after it.

    `made` is the outermost parent, or the member, that the change makes: whoever takes it back gives
    that to `Remove` or `Exclude`. `foreign` says that another program changed the member since we
    wrote it.
    """

    change: Change
    before: Value | Absent
    after: Value | Absent
    made: KeyPath | None
    foreign: bool


def merge[D: Document](
    document: D, changes: Sequence[Change], expected: ExpectedValues
) -> tuple[D, tuple[Effect, ...]]:
    """
    Return the document with all changes, and what each does.

    `expected` names what was last written to a member; one that it does not name was never ours, and
    is taken over. Lists are shared with the user: elements are never in conflict.
    """
    effects = []
    for change in changes:
        before, made = document.get(change.path), made_by(document, change.path)
        document = _apply(document, change)
        after = document.get(change.path)
        foreign = (
            isinstance(change, Set | Remove)
            and change.path in expected
            and not same_value(before, expected[change.path])
            and not same_value(before, after)
        )
        effects.append(
            Effect(change, before, after, made if after is not ABSENT else None, foreign)
        )
    return document, tuple(effects)


def _apply[D: Document](document: D, change: Change) -> D:
    match change:
        case Set():
            return document.set(change.path, change.value)
        case Remove():
            return document.remove(change.path, made=change.made)
        case Include():
            return document.include(change.path, change.element)
        case Exclude():
            return document.exclude(change.path, change.element, made=change.made)
