"""The limit of a profile for a day, and what counts against it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class DayUse:
    """Tokens, and US dollars at list price where that is known."""

    tokens: int = 0
    cost: float = 0.0


@dataclass(frozen=True)
class DailyLimit:
    """The most of a day, in tokens and in US dollars; None is no limit."""

    tokens: int | None = None
    cost: float | None = None

    def allows(self, used: DayUse) -> bool:
        """Tell whether more may be used yet."""
        return (self.tokens is None or used.tokens < self.tokens) and (
            self.cost is None or used.cost < self.cost
        )
