"""What the gateway tells others: a record of each request, and what the user should hear of, once for each change."""

import asyncio
from collections.abc import Callable
from datetime import date
from typing import Protocol

from mahavishnu.base.errors import Forbidden, MahavishnuError, Unavailable
from mahavishnu.gateway.causes import ProviderFailure
from mahavishnu.gateway.records import UseRecord


class EventKeeper(Protocol):
    """Keeps events; a file is written."""

    def record(
        self,
        what: str,
        why: str,
        after: str | None = None,
        *,
        before: str | None = None,
        error: MahavishnuError | None = None,
    ) -> None: ...


class GatewayNotes:
    """Notes requests and events; `write` keeps a record of a request to an address, and waits for nothing."""

    def __init__(self, journal: EventKeeper, write: Callable[[UseRecord, str], None]) -> None:
        self.write = write
        self._journal = journal
        self._serving: dict[str, tuple[str, str]] = {}  # the first of the route, who answered
        self._refused: set[str] = set()
        self._limited: dict[str, date] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def served(self, client: str, profile: str, *, first: str, why: str) -> None:
        """Note which profile answered; `first` is that of the route, `why` what was wrong with those before."""
        known, before = self._serving.get(client, (first, first))
        if known != first:  # switched meanwhile
            before = first
        self._serving[client] = first, profile
        if profile in self._refused:
            self._refused.discard(profile)
            self._tell(
                "gateway.key", "The provider takes the key again.", "works", before="refused"
            )
        if before == profile:
            return
        if profile == first:
            self._tell("gateway.return", f"{client}: it answers again.", profile, before=before)
        else:
            error = Unavailable(f"{client} goes on with {profile}: {why}", code="gateway.moved_on")
            self._tell("gateway.fallback", f"{before} does not answer.", before=before, error=error)

    def refused(self, profile: str, message: str) -> None:
        """Note that a key was refused, or cannot be read."""
        if profile not in self._refused:
            self._refused.add(profile)
            why = "No other profile is asked."
            self._tell("gateway.key", why, error=Forbidden(message, code="gateway.key_refused"))

    def limited(self, profile: str, today: date) -> None:
        """Note that the limit of the day is used up."""
        if self._limited.get(profile) != today:
            self._limited[profile] = today
            error = Unavailable(
                f"The limit of {profile} for today is used up.", code="gateway.daily_limit"
            )
            self._tell("gateway.limit", f"gateway.limits.{profile} says so.", error=error)

    async def close(self) -> None:
        """Wait for what is written."""
        await asyncio.gather(*self._tasks)

    def _tell(
        self,
        what: str,
        why: str,
        after: str | None = None,
        *,
        before: str | None = None,
        error: MahavishnuError | None = None,
    ) -> None:
        work = asyncio.to_thread(self._journal.record, what, why, after, before=before, error=error)
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def told(profile: str, failure: ProviderFailure) -> str:
    """Return a failure of a profile as records have it."""
    return f"{profile}:{failure.cause}"
