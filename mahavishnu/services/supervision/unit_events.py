"""Automatic acts on units, in the journal and the log."""

import asyncio

from mahavishnu.base.errors import MahavishnuError, Unavailable
from mahavishnu.base.logs import get_logger
from mahavishnu.services.events.journal import EventJournal
from mahavishnu.services.supervision.acts import UnitOutcome

_log = get_logger(__name__)


class UnitEvents:
    """Records what was done to a unit without anybody asking, as `service.ACT NAME`."""

    def __init__(self, journal: EventJournal) -> None:
        self._journal = journal

    async def record(
        self,
        act: str,
        name: str,
        why: str,
        after: str | None = None,
        *,
        before: str | None = None,
        error: MahavishnuError | None = None,
        skipped: bool = False,
    ) -> None:
        """Record one act; else as `EventJournal.record`."""
        what = f"service.{act} {name}"
        _log.info("service_event", what=what, why=why, code=error.code if error else None)
        await asyncio.to_thread(
            self._journal.record, what, why, after, before=before, error=error, skipped=skipped
        )

    async def record_failure(
        self, act: str, name: str, why: str, error: MahavishnuError, *, after: str, before: str = ""
    ) -> None:
        """Record an act that failed: the error says why, the state after it is a word."""
        told = _join(why, error.message)
        await self.record(act, name, told, after, before=before or None, error=error)

    async def record_outcome(self, act: str, outcome: UnitOutcome, why: str) -> None:
        """Record what became of an act."""
        failed = outcome.outcome in ("failed", "rolled_back")
        error = Unavailable(outcome.reason, code=outcome.code) if failed else None
        told = _join(why, outcome.reason)
        await self.record(
            act, outcome.name, told, outcome.after, before=outcome.before, error=error
        )


def _join(why: str, reason: str) -> str:
    """Return both texts; one that has the other in it says enough."""
    if reason in why:
        return why
    return reason if why in reason else f"{why} {reason}"
