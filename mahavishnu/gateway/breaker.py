"""
The circuit breaker of each profile, and how long a quota cools it; kept over restarts.

Failures in a row open it; after a time one request at a time is let through, and the first that succeeds closes it.
A quota only cools: it says nothing of the provider's health.
"""

import contextlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct, structs

from mahavishnu.base.files import write_atomically
from mahavishnu.base.paths import private_folder
from mahavishnu.gateway.causes import Cause, ProviderFailure

type BreakerState = Literal["closed", "open", "half-open", "cooled"]

OPENS_AFTER = 3
OPEN_FOR = timedelta(seconds=60)
LONGEST_OPEN = timedelta(minutes=15)
PROBE_LASTS = timedelta(minutes=10)  # a probe that nobody heard of again


class ProviderHealth(Struct, frozen=True, kw_only=True):
    """
    What is known of a profile.

    `opened` counts how often it opened without having closed: each time it stays open twice as long. `cause` is that
    of the last failure, None where the last request succeeded.
    """

    failures: int = 0
    opened: int = 0
    open_until: datetime | None = None
    cooled_until: datetime | None = None
    cause: Cause | None = None
    since: datetime | None = None
    failed_at: datetime | None = None

    def state(self, now: datetime) -> BreakerState:
        """Return what the breaker does at a moment."""
        if self.cooled_until is not None and now < self.cooled_until:
            return "cooled"
        if self.open_until is None:
            return "closed"
        return "open" if now < self.open_until else "half-open"

    def after(self, failure: ProviderFailure, now: datetime) -> "ProviderHealth":
        """Return what is known after one more failure."""
        since = self.since if self.cause == failure.cause else now
        known = structs.replace(self, cause=failure.cause, since=since, failed_at=now)
        if failure.cause == "quota":
            return structs.replace(known, cooled_until=failure.until)
        if not failure.counts:
            return known
        failures = self.failures + 1
        # The client that lost an answer asks again at once, and the next profile has to get that request.
        if failures < OPENS_AFTER and self.open_until is None and not failure.begun:
            return structs.replace(known, failures=failures)
        if self.open_until is not None and now < self.open_until:  # one that began before
            return structs.replace(known, failures=failures)
        lasts = min(OPEN_FOR * 2**self.opened, LONGEST_OPEN)
        return structs.replace(
            known, failures=failures, opened=min(self.opened + 1, 10), open_until=now + lasts
        )


class Breakers:
    """The breakers of all profiles; `path` is their file, which nobody else writes."""

    def __init__(
        self, path: Path, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._path = path
        self._now = now
        self._known = read_breakers(path)
        self._probes: dict[str, datetime] = {}

    def state(self, profile: str) -> BreakerState:
        """Return what the breaker of a profile does now."""
        return self.health(profile).state(self._now())

    def health(self, profile: str) -> ProviderHealth:
        """Return what is known of a profile."""
        return self._known.get(profile, ProviderHealth())

    def admits(self, profile: str) -> bool:
        """Tell whether a request may go there now; half-open, so long as no other one tries it."""
        state, now = self.state(profile), self._now()
        if state == "half-open":
            tried = self._probes.get(profile)
            return tried is None or now - tried > PROBE_LASTS
        return state == "closed"

    def begin(self, profile: str) -> datetime:
        """Note that a request goes there; returns when."""
        now = self._now()
        if self.state(profile) == "half-open" and self.admits(profile):
            self._probes[profile] = now
        return now

    def leave(self, profile: str) -> None:
        """Note that a request ended that says nothing of the profile."""
        self._probes.pop(profile, None)

    def failed(self, profile: str, failure: ProviderFailure) -> None:
        """Note a failure."""
        self._probes.pop(profile, None)
        self._change(profile, self.health(profile).after(failure, self._now()))

    def worked(self, profile: str, began: datetime | None = None) -> bool:
        """
        Note a success, which closes the breaker and ends what was cooled; returns whether it does.

        What `began` before the last failure says nothing of what is there since.
        """
        self._probes.pop(profile, None)
        failed_at = self.health(profile).failed_at
        if began is not None and failed_at is not None and began < failed_at:
            return False
        if profile in self._known:
            self._change(profile, ProviderHealth())
        return True

    def _change(self, profile: str, health: ProviderHealth) -> None:
        if health == self.health(profile):
            return
        if health == ProviderHealth():
            self._known.pop(profile, None)
        else:
            self._known[profile] = health
        with contextlib.suppress(OSError):  # a full disk stops no request
            private_folder(self._path.parent)
            write_atomically(self._path, msgspec.json.encode(self._known))


def read_breakers(path: Path) -> dict[str, ProviderHealth]:
    """Return what the file of the breakers says; nothing where it is not there, or damaged."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, ProviderHealth])
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return {}
