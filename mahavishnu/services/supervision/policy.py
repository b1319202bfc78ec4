"""What is decided about a unit, without doing anything: when it is healthy, and when it is started again."""

from dataclasses import dataclass, field, replace
from typing import Literal

from mahavishnu.base.health import ComponentHealth
from mahavishnu.services.units.backend import UnitState
from mahavishnu.services.units.unit import HealthCheck, RestartPolicy

type HealthVerdict = Literal["healthy", "unhealthy", "unknown"]


@dataclass(frozen=True)
class Backoff:
    """
    How long to wait after so many failures in a row, and after how many to give up.

    A unit that ran for `steady_s` has had no failure.
    """

    first_s: float = 1.0
    most_s: float = 60.0
    limit: int = 6
    steady_s: float = 120.0

    def pause_s(self, failures: int) -> float:
        """Return the pause before the next start, after one or more failures."""
        return min(self.first_s * 2.0 ** (failures - 1), self.most_s)


@dataclass(frozen=True)
class HealthTrack:
    """What the checks of a unit said lately, and what follows: single answers do not turn it."""

    verdict: HealthVerdict = "unknown"
    good: int = 0
    bad: int = 0
    last: ComponentHealth | None = field(default=None, compare=False)

    def after(self, health: ComponentHealth, check: HealthCheck) -> "HealthTrack":
        """Return the track with one more answer."""
        works = health.status == "healthy"
        seen = replace(
            self, good=self.good + 1 if works else 0, bad=0 if works else self.bad + 1, last=health
        )
        if seen.good >= check.healthy_after:
            return replace(seen, verdict="healthy")
        if seen.bad >= check.unhealthy_after:
            return replace(seen, verdict="unhealthy")
        return seen


def starts_again(policy: RestartPolicy, state: UnitState) -> bool:
    """Tell whether a unit that nobody stopped, and that does not run, is started again."""
    if policy == "always":
        return True
    return policy == "on-failure" and state.state in ("failed", "stale")
