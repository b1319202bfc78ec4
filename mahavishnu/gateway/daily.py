"""What each profile was used for today, against the limits of the day."""

from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path

from mahavishnu.gateway.limits import DailyLimit, DayUse
from mahavishnu.gateway.records import use_of_day

_NOTHING = DayUse()


class DailyUse:
    """The use of each profile today, for its limit."""

    def __init__(self, folder: Path, limits: Mapping[str, DailyLimit]) -> None:
        self._folder = folder
        self._limits = limits
        self._day: date | None = None
        self._used: dict[str, DayUse] = {}

    def is_within(self, profile: str) -> bool:
        """Tell whether a profile may be used yet today."""
        limit = self._limits.get(profile)
        if limit is None:
            return True
        self._turn_day()
        return limit.allows(self._used.get(profile, _NOTHING))

    def add(self, profile: str, *, tokens: int = 0, cost: float = 0.0) -> None:
        """Count what a request took; the price of it is known a moment later."""
        if profile in self._limits:
            self._turn_day()
            known = self._used.get(profile, _NOTHING)
            self._used[profile] = DayUse(known.tokens + tokens, known.cost + cost)

    def _turn_day(self) -> None:
        today = datetime.now().astimezone().date()
        if today != self._day:
            self._day, self._used = today, use_of_day(self._folder, today)
