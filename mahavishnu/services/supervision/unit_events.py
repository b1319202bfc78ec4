"""Automatic acts on units, in the journal and the log."""

import asyncio
import sys

from mahavishnu.base.errors import MahavishnuError, Unavailable
from mahavishnu.base.logs import get_logger
from mahavishnu.services.events.journal import EventJournal
from mahavishnu.services.supervision.acts import UnitOutcome

_log = get_logger(__name__)


class UnitEvents:
    """Records what was done to a unit without anybody asking, as `service.ACT NAME`, and that it works again."""

    def __init__(self, journal: EventJournal) -> None:
        self._journal = journal
        self._failed: set[tuple[str, str]] = set()  # act and unit

    async def read_failed(self) -> None:
        """Read which acts failed last, so that a recovery is recorded after a restart of the daemon too."""
        for event in await asyncio.to_thread(self._journal.read, limit=sys.maxsize):
            act, _, name = event.what.removeprefix("service.").partition(" ")
            if name and event.what.startswith("service."):
                self._note(act, name, failed=event.result == "failed")

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
        self._note(act, name, failed=error is not None)
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

    async def record_recovery(self, name: str) -> None:
        """Record of each act that failed that its unit works again."""
        for act, _ in sorted(each for each in self._failed if each[1] == name):
            await self.record(act, name, "It works again.", "works", before="failed")

    def _note(self, act: str, name: str, *, failed: bool) -> None:
        (self._failed.add if failed else self._failed.discard)((act, name))


def _join(why: str, reason: str) -> str:
    """Return both texts; one that has the other in it says enough."""
    if reason in why:
        return why
    return reason if why in reason else f"{why} {reason}"
