"""Look at units that are to run, and start again what ended or is unhealthy: later each time, and not without end."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from mahavishnu.base.errors import Unavailable
from mahavishnu.services.schedule.pause import Pause
from mahavishnu.services.supervision.acts import Acts, UnitOutcome
from mahavishnu.services.supervision.policy import Backoff, HealthTrack, starts_again
from mahavishnu.services.supervision.unit_events import UnitEvents
from mahavishnu.services.supervision.wanted import WantedUnits
from mahavishnu.services.units.backend import UnitState
from mahavishnu.services.units.unit import Unit


@dataclass
class Watched:
    """What is known of one unit while the daemon lives; `turn` is held by whoever does something to it."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    track: HealthTrack = field(default_factory=HealthTrack)
    checked_at: float = -1e9
    failures: int = 0
    runs: tuple[int | None, float] = (None, 0.0)  # its pid, and since when by a clock nobody sets
    start_failed: bool = False  # it never ran, and is tried again
    held: bool = False  # its start was not tried: automatic acts rest, or what it needs is missing
    retry_at: float | None = None
    gave_up: bool = False
    stopped: bool = False  # because somebody asked for that
    problem: str = ""
    shown: Pause | None = None  # the dry run in which it was recorded what would be done

    def take(self, outcome: UnitOutcome, *, failures: int = 0) -> None:
        """Forget what was counted before something was done to the unit."""
        self.track, self.checked_at, self.retry_at, self.gave_up = HealthTrack(), -1e9, None, False
        self.start_failed, self.held = outcome.outcome == "failed", False
        self.problem = outcome.reason
        self.failures = failures


class UnitWatch:
    """Decides and does what is due for one unit at a time."""

    def __init__(
        self,
        acts: Acts,
        wanted: WantedUnits,
        events: UnitEvents,
        find_pause: Callable[[], Pause | None],
        backoff: Backoff,
    ) -> None:
        self._acts = acts
        self._backend = acts.backend
        self._wanted = wanted
        self._events = events
        self._find_pause = find_pause
        self._backoff = backoff

    async def look(self, unit: Unit, watched: Watched, units: Mapping[str, Unit]) -> None:
        """Look at one of the units; who calls holds its turn."""
        state = self._backend.state(unit.name)
        if state.state == "running":
            await self._check(unit, watched, state)
        elif unit.name in self._wanted:
            if state.state == "stale":
                await self._backend.stop(unit)
                await self._events.record("clear", unit.name, state.why, "stopped", before="stale")
            if watched.gave_up:
                return
            # Who asked it to end was a daemon that was killed before it could start it again.
            failed = watched.start_failed and unit.restart != "never"
            tries = state.asked or watched.held or failed
            if not (tries or starts_again(unit.restart, state)):
                self._wanted.change(unit.name, wanted=False)
                watched.problem = watched.problem or state.why
                failed_end = state.state == "failed"
                error = Unavailable(state.why, code="service.ended") if failed_end else None
                await self._events.record(
                    "end", unit.name, state.why, state.state, before="running", error=error
                )
            elif missing := self.find_missing(unit, units):
                watched.problem = missing
            else:
                why = state.why or watched.problem
                await self._recover(unit, watched, state, watched.problem or why if tries else why)

    def find_missing(self, unit: Unit, units: Mapping[str, Unit]) -> str:
        """Say which of a unit's dependencies does not run; empty where all do, or may be run by somebody else."""
        known = {name: units.get(name) for name in unit.depends_on}
        missing = [
            name
            for name, each in known.items()
            if self._backend.state(name).state != "running" and not (each and each.shared)
        ]
        return f"It depends on {', '.join(missing)}." if missing else ""

    async def _check(self, unit: Unit, watched: Watched, state: UnitState) -> None:
        """Ask a unit that runs whether it works, where that is due."""
        if watched.runs[0] != state.pid:
            watched.runs = (state.pid, time.monotonic())
        ran_s = time.monotonic() - watched.runs[1]
        check = (state.definition or unit).health
        if ran_s >= self._backoff.steady_s and watched.track.verdict != "unhealthy":
            watched.failures, watched.gave_up = 0, False
        if check is None:
            if ran_s >= self._backoff.steady_s:
                await self._events.record_recovery(unit.name)
            return
        if time.monotonic() - watched.checked_at >= check.interval_s:
            health = await self._acts.prober.probe(unit, check)
            before = watched.track.verdict
            watched.track, watched.checked_at = watched.track.after(health, check), time.monotonic()
            now = watched.track.verdict
            if now == "unhealthy" != before:
                error = Unavailable(health.message or "", code="service.unhealthy")
                await self._events.record(
                    "health", unit.name, error.message, now, before=before, error=error
                )
            elif now == "healthy":
                await self._events.record_recovery(unit.name)
        if watched.track.verdict == "unhealthy":
            last = watched.track.last
            watched.problem = last.message if last else ""
            if unit.restart != "never" and unit.name in self._wanted:
                await self._recover(unit, watched, state, f"It is unhealthy. {watched.problem}")
        elif not watched.gave_up:
            watched.retry_at = None

    async def _recover(self, unit: Unit, watched: Watched, state: UnitState, why: str) -> None:
        """Start a unit again that ended or is unhealthy, where its pause is over."""
        if watched.gave_up:
            return
        now = time.monotonic()
        if watched.retry_at is None:
            watched.failures += 1
            if watched.failures > self._backoff.limit:
                await self._give_up(unit, watched, state, why)
                return
            watched.retry_at = now + self._backoff.pause_s(watched.failures)
            watched.problem = why
        if now < watched.retry_at or await self._rests(unit, watched):
            return
        act = self._acts.restart if state.state == "running" else self._acts.start
        outcome = await act(unit, restarts=state.restarts + 1)
        watched.take(outcome, failures=watched.failures)
        await self._events.record_outcome("restart", outcome, why)

    async def _give_up(self, unit: Unit, watched: Watched, state: UnitState, why: str) -> None:
        watched.gave_up, watched.problem = True, f"It was given up. {why}"
        error = Unavailable(
            f"It failed {watched.failures} times in a row, and is not started again.",
            code="service.gave_up",
        )
        await self._events.record_failure(
            "give-up", unit.name, why, error, before=state.state, after="given up"
        )

    async def _rests(self, unit: Unit, watched: Watched) -> bool:
        """Tell whether automatic acts rest; in a dry run, record once what would have been done."""
        paused = await asyncio.to_thread(self._find_pause)
        if paused is not None and paused.dry_run and paused != watched.shown:
            watched.shown = paused
            why, after = "mahavishnu pause --dry-run", "It would be started."
            await self._events.record("restart", unit.name, why, after, skipped=True)
        return paused is not None
