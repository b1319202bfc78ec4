"""Start, stop and restart one unit, with its health before and after; roll back to what worked."""

import asyncio
import time
from dataclasses import dataclass
from typing import Literal

from mahavishnu.base.errors import Conflict, MahavishnuError, Unavailable
from mahavishnu.base.ports import describe_owner, is_free
from mahavishnu.services.supervision.probing import Prober
from mahavishnu.services.units.backend import Backend
from mahavishnu.services.units.unit import Unit

# unchanged: it was so already; left: nothing was done, for the reason given; rolled_back: the new definition does
# not work, and the one of before runs again.
type ActOutcome = Literal[
    "started", "stopped", "restarted", "unchanged", "rolled_back", "left", "failed"
]
NOT_CONFIGURED = "It is not configured."
SETTLE_S = 0.3  # that a unit without a health check has to go on
RELEASE_S = 5.0  # in which a port becomes free
PAUSES_S = (0.05, 0.5)


@dataclass(frozen=True, kw_only=True)
class UnitOutcome:
    """What became of one unit; `before` and `after` are its health, or its state where it has no check."""

    name: str
    outcome: ActOutcome
    before: str
    after: str
    reason: str = ""
    code: str | None = None


class Acts:
    """What is done to single units; who calls sees to it that nobody else does something to one meanwhile."""

    def __init__(self, backend: Backend, prober: Prober) -> None:
        self.backend = backend
        self.prober = prober

    async def start(self, unit: Unit, *, restarts: int = 0) -> UnitOutcome:
        """Start a unit, and wait until it works."""
        before = await self.find_health(unit)
        if self.backend.state(unit.name).state == "running":
            return _told(unit, "unchanged", before, before)
        if not unit.command:
            return _told(unit, "left", before, before, NOT_CONFIGURED)
        try:
            if owner := await _find_owner(unit):
                if unit.shared:
                    return _told(unit, "left", before, before, f"{owner} runs it.")
                raise _port_taken(unit, owner)
            await self._bring_up(unit, restarts)
        except MahavishnuError as error:
            return await self._failed(unit, before, error)
        return _told(unit, "started", before, await self.find_health(unit))

    async def stop(self, unit: Unit) -> UnitOutcome:
        """Stop a unit, and wait until nothing of it is left."""
        before = await self.find_health(unit)
        if self.backend.state(unit.name).state not in ("running", "stale"):
            return _told(unit, "unchanged", before, before)
        try:
            await self.backend.stop(unit)
        except MahavishnuError as error:
            return await self._failed(unit, before, error)
        return _told(unit, "stopped", before, await self.find_health(unit))

    async def restart(self, unit: Unit, *, restarts: int = 0) -> UnitOutcome:
        """
        Restart a unit, and wait until it works; start one that does not run.

        Where its definition is another one by now and does not work, the earlier one is started again. What can be
        known before is known before: a program that is not there stops nothing.
        """
        known = self.backend.state(unit.name)
        if known.state != "running":
            return await self.start(unit, restarts=restarts)
        before, worked = await self.find_health(unit), known.definition or unit
        try:
            await self.backend.check(unit)
            if unit.port != worked.port and (owner := await _find_owner(unit)):
                raise _port_taken(unit, owner)
            await self.backend.stop(worked)
            await _await_release(unit, worked)
            await self._bring_up(unit, restarts)
        except MahavishnuError as error:
            now = self.backend.state(unit.name)
            untouched = now.state == "running" and now.definition == worked
            if untouched or worked == unit:
                return await self._failed(unit, before, error)
            return await self._roll_back(unit, worked, before, error)
        return _told(unit, "restarted", before, await self.find_health(unit))

    async def find_health(self, unit: Unit) -> str:
        """Return how a unit is: its health where it runs and has a check, else its state."""
        state = self.backend.state(unit.name)
        if state.state != "running":
            return state.state
        check = (state.definition or unit).health
        return "running" if check is None else (await self.prober.probe(unit, check)).status

    async def _bring_up(self, unit: Unit, restarts: int) -> None:
        """Start a unit and wait until it works; raises `service.ended`, `service.unhealthy`, or as the backend."""
        await self.backend.start(unit, restarts=restarts)
        began, pause_s = time.monotonic(), PAUSES_S[0]
        problem = ""
        while True:
            state = self.backend.state(unit.name)
            if state.state != "running":
                raise Unavailable(
                    f"{unit.name} started, and did not go on. {state.why}",
                    hint=f"See what it says: mahavishnu service logs {unit.name}",
                    code="service.ended",
                )
            spent_s = time.monotonic() - began
            if unit.health is None:
                if spent_s >= SETTLE_S:
                    return
            else:
                health = await self.prober.probe(unit, unit.health)
                if health.status == "healthy":
                    return
                problem = health.message
            if spent_s >= unit.start_timeout_s:
                raise Unavailable(
                    f"{unit.name} runs, but is not healthy after {unit.start_timeout_s:g} s: {problem}",
                    hint=f"See what it says: mahavishnu service logs {unit.name}",
                    code="service.unhealthy",
                )
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, PAUSES_S[1])

    async def _roll_back(
        self, unit: Unit, worked: Unit, before: str, error: MahavishnuError
    ) -> UnitOutcome:
        try:
            await self.backend.stop(unit)
            await _await_release(worked)
            await self._bring_up(worked, 0)
        except MahavishnuError as second:
            reason = f"{error.message} Nor does it run as before: {second.message}"
            return _told(unit, "failed", before, await self.find_health(unit), reason, error.code)
        reason = f"It runs as before, since the new definition does not work: {error.message}"
        return _told(unit, "rolled_back", before, await self.find_health(unit), reason, error.code)

    async def _failed(self, unit: Unit, before: str, error: MahavishnuError) -> UnitOutcome:
        reason = f"{error.message} {error.hint or ''}".strip()
        return _told(unit, "failed", before, await self.find_health(unit), reason, error.code)


def _told(
    unit: Unit,
    outcome: ActOutcome,
    before: str,
    after: str,
    reason: str = "",
    code: str | None = None,
) -> UnitOutcome:
    return UnitOutcome(
        name=unit.name, outcome=outcome, before=before, after=after, reason=reason, code=code
    )


async def _find_owner(unit: Unit) -> str:
    """Return who has the port of a unit that does not run; empty where nobody has."""
    if unit.port is None or is_free(unit.port):
        return ""
    return await asyncio.to_thread(describe_owner, unit.port)


async def _await_release(*units: Unit) -> None:
    """Wait until the ports of units that were stopped are free; raises `service.port_taken`."""
    until = time.monotonic() + RELEASE_S
    for unit in units:
        while (port := unit.port) is not None and not is_free(port):
            if time.monotonic() >= until:
                raise _port_taken(unit, await asyncio.to_thread(describe_owner, port))
            await asyncio.sleep(PAUSES_S[0])


def _port_taken(unit: Unit, owner: str) -> Conflict:
    return Conflict(
        f"Port {unit.port} of {unit.name} is taken by {owner}.",
        hint="End that, or let the service listen on another port; it is never ended for you.",
        code="service.port_taken",
    )
