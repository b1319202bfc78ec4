"""The daemon's failover: where the profile of a client fails, it is switched to the next one, and back."""

import asyncio
from datetime import UTC, datetime

from mahavishnu.ai.clients.table import CLIENTS
from mahavishnu.ai.routes.intent import intent_in, read_intent
from mahavishnu.app import App
from mahavishnu.base.errors import Conflict, MahavishnuError, Unavailable
from mahavishnu.base.logs import get_logger
from mahavishnu.operations.ai.failover import DueSwitch, Failover, Seen, failover_folder
from mahavishnu.operations.ai.site import Environments
from mahavishnu.services.events.journal import FailureStreak

LOOK_EVERY_S = 20.0
HELD_EVERY_S = 300.0  # while a switch is due that is not made: each look asks providers
_log = get_logger(__name__)


class AutoSwitch:
    """
    Looks at the clients for as long as the daemon runs.

    A fallback is a failure in the journal of events, and a return its end: so both are alerts. What cannot be done
    is recorded once, until something else is due.
    """

    def __init__(self, app: App, failover: Failover | None = None) -> None:
        state = app.loaded.locations.state
        self._app = app
        self._intent = intent_in(state)
        self._failover = failover or Failover(failover_folder(state))
        self._recorded: set[object] = set()
        self._streak = FailureStreak(app.events, "ai.failover")

    async def run(self) -> None:
        """Look, for ever."""
        while True:
            pause_s = LOOK_EVERY_S
            try:
                pause_s = HELD_EVERY_S if await self.look() else LOOK_EVERY_S
                await self._streak.worked()
            except MahavishnuError as error:
                _log.info("clients_not_looked_at", code=error.code, reason=error.message)
                await self._streak.failed(error)
            await asyncio.sleep(pause_s)

    async def look(self) -> bool:
        """Do what is due, or record it where the user wants no more than that; tells whether any was not done."""
        intent = await asyncio.to_thread(read_intent, self._intent)
        paused = await asyncio.to_thread(self._app.pause.read, datetime.now(UTC))
        if intent == "off" or (paused is not None and not paused.dry_run):
            return False
        environments = await asyncio.to_thread(Environments.outside_projects, self._app.loaded)
        seen = await asyncio.to_thread(self._failover.look, environments)
        await self._note_refused(seen)
        held = False
        for act in seen.acts:
            if paused is not None:
                await self._hold(act, "mahavishnu pause --dry-run", skipped=True)
            elif intent == "pinned":
                await self._hold(act, "mahavishnu ai auto pin", skipped=False)
            else:
                held |= not await self._carry_out(environments, act)
        self._recorded &= {*seen.acts, *seen.refused}
        return held or (bool(seen.acts) and (paused is not None or intent == "pinned"))

    async def _carry_out(self, environments: Environments, act: DueSwitch) -> bool:
        """Tell whether nothing is due any more: it was switched, by us or meanwhile by the user."""
        try:
            done = await asyncio.to_thread(self._failover.carry_out, environments, act)
        except MahavishnuError as error:
            if act not in self._recorded:
                self._recorded.add(act)
                await self._record(act, error=error)
            return False
        if not done:
            return True
        title = CLIENTS[act.client].title
        told = f"{title} was switched from {act.before} to {act.after}."
        _log.warning("client_switched", client=act.client, before=act.before, after=act.after)
        failed = None if act.back else Unavailable(told, code="ai.failed_over")
        await self._record(act, told, error=failed)
        return True

    async def _hold(self, act: DueSwitch, why: str, *, skipped: bool) -> None:
        """Record a switch that is due and not made."""
        if act in self._recorded:
            return
        self._recorded.add(act)
        told = f"{CLIENTS[act.client].title} would be switched from {act.before} to {act.after}."
        error = None if skipped else Unavailable(f"{act.why} {told}", code="ai.pinned")
        await asyncio.to_thread(
            self._app.events.record,
            f"ai.auto {act.client}",
            why,
            told,
            error=error,
            skipped=skipped,
        )

    async def _note_refused(self, seen: Seen) -> None:
        """Record failures that another profile would only hide: a key that is refused."""
        for client, profile, cause in set(seen.refused) - self._recorded:
            self._recorded.add((client, profile, cause))
            if cause == "auth":
                error = Conflict(
                    f"{profile} does not accept its key; no other profile is used instead.",
                    code="ai.key_refused",
                )
                why = f"{CLIENTS[client].title} uses {profile}."
                await asyncio.to_thread(
                    self._app.events.record, f"ai.auto {client}", why, error=error
                )

    async def _record(
        self, act: DueSwitch, after: str | None = None, *, error: MahavishnuError | None = None
    ) -> None:
        await asyncio.to_thread(
            self._app.events.record,
            f"ai.auto {act.client}", act.why, after, before=act.before, error=error,
        )  # fmt: skip
