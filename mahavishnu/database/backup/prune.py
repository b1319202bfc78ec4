"""Which sets may go, and their removal; the newest proven one stays."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from mahavishnu.base.errors import Conflict
from mahavishnu.database.backup.storage.port import Storage, StoredSet
from mahavishnu.database.backup.storage.retention import KeptSets, reasons_to_stay
from mahavishnu.database.backup.verify import ListedSet


@dataclass(frozen=True)
class JudgedSet:
    """A set, and why it stays; None where it may go."""

    listed: ListedSet
    stays: str | None


@dataclass(frozen=True)
class PrunedSets:
    """
    Each set, oldest first, and those that stayed because somebody used them.

    `drops_replaced` says that the last restore can no longer be undone.
    """

    judged: tuple[JudgedSet, ...]
    in_use: frozenset[StoredSet]
    drops_replaced: bool


def judge(sets: Sequence[ListedSet], retention: KeptSets, *, now: datetime) -> list[JudgedSet]:
    """
    Decide about each set, in the given order.

    One that cannot be read, or was found damaged, counts for nothing. A damaged one goes where a newer one is proven.
    """
    proven = [each.stored for each in sets if each.proven_at]
    whole = [each.stored for each in sets if each.problem is None and not each.is_damaged]
    reasons = reasons_to_stay(whole, retention, proven=proven, now=now)

    def reason(each: ListedSet) -> str | None:
        if not each.is_damaged:
            later = "cannot be read now, or is of a later release"
            return later if each.problem else reasons.get(each.stored)
        if max(proven, default=each.stored) > each.stored:
            return None
        return "damaged, but no newer set is proven"

    return [JudgedSet(each, reason(each)) for each in sets]


def remove(storage: Storage, judged: Sequence[JudgedSet]) -> frozenset[StoredSet]:
    """
    Remove what may go, each set in one step, and what killed commands left; returns what somebody uses.

    Raises:
        Conflict: `backup.busy`.
    """
    storage.clean()
    in_use = set()
    for each in judged:
        if each.stays is None:
            try:
                storage.delete(each.listed.stored)
            except Conflict as error:
                if error.code != "backup.in_use":
                    raise
                in_use.add(each.listed.stored)
    return frozenset(in_use) & {*storage.find()}  # another prune may have been quicker
