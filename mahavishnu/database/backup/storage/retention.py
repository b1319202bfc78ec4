"""Which backup sets stay: the newest ones, and then one of each day, week and month."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from mahavishnu.database.backup.storage.port import StoredSet


@dataclass(frozen=True)
class KeptSets:
    """How many sets stay: the last ones, and the last one of each of so many days, weeks and months (UTC)."""

    last: int
    daily: int
    weekly: int
    monthly: int
    min_age: timedelta = timedelta(days=1)


def reasons_to_stay(
    sets: Sequence[StoredSet],
    retention: KeptSets,
    *,
    proven: Collection[StoredSet],
    now: datetime,
) -> dict[StoredSet, str]:
    """
    Return why each set stays; those without a reason may go.

    Newer is what has the higher number. The clocks say only which day a set is of, so that one that was wrong makes
    a set share a day, or have one of its own, and removes no more than that. A set of the future is young.
    """
    newest_first = sorted(sets, reverse=True)
    stays = dict.fromkeys(newest_first[: retention.last], f"one of the last {retention.last}")
    for each in newest_first:
        if each in proven:
            stays.setdefault(each, "the newest proven one")
            break
    for count, period, period_of in (
        (retention.daily, "day", lambda each: f"{each.created_at:%Y-%m-%d}"),
        (retention.weekly, "week", lambda each: f"{each.created_at:%G-W%V}"),
        (retention.monthly, "month", lambda each: f"{each.created_at:%Y-%m}"),
    ):
        for each, name in _newest_of_each(newest_first, period_of)[:count]:
            stays.setdefault(each, f"the last of the {period} {name}")
    for each in newest_first:
        if each.created_at > now - retention.min_age:
            stays.setdefault(each, "too young to go")
    return stays


def _newest_of_each(
    newest_first: Sequence[StoredSet], period_of: Callable[[StoredSet], str]
) -> list[tuple[StoredSet, str]]:
    newest: dict[str, StoredSet] = {}
    for each in newest_first:
        newest.setdefault(period_of(each), each)
    return [(each, period) for period, each in newest.items()]
