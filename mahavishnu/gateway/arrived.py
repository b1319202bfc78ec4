"""A request that came in, how far it is, and an answer that is held back: what one attempt leaves to the next."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from aiohttp import web

from mahavishnu.ai.clients.delivery import Protocol
from mahavishnu.ai.routes.routes import Route
from mahavishnu.gateway.chain import Candidate
from mahavishnu.gateway.outcome import TokenCount
from mahavishnu.gateway.wire import AskedModel, PathMeaning

type Headers = Sequence[tuple[str, str]]


class ClientGone(Exception):
    """The client has gone, or takes nothing any more."""


@dataclass(frozen=True, kw_only=True)
class Arrived:
    """A request as it came in, whole."""

    request: web.BaseRequest
    client: str
    route: Route
    meaning: PathMeaning
    asked: AskedModel
    body: bytes


@dataclass(frozen=True, kw_only=True)
class Held:
    """An answer that the client has nothing of yet."""

    status: int
    headers: Headers
    body: bytes

    def repeated(self, again: bool) -> "Held":
        """Return it with the word that clients go by where they would repeat a request or not."""
        kept = [each for each in self.headers if each[0].lower() != "x-should-retry"]
        return replace(self, headers=[*kept, ("x-should-retry", "true" if again else "false")])

    def refused(self, protocol: Protocol) -> "Held":
        """
        Return it so that no client repeats its request, by which an account can be locked.

        Claude Code 2.1.329 asks eleven times after a 401, and goes by the header. Codex 0.169.0 asks six times, but
        once after a 400.
        """
        status = 400 if protocol == "openai-responses" else self.status
        return replace(self.repeated(again=False), status=status)


@dataclass(kw_only=True)
class Going:
    """How far one request is; what a record is made of."""

    began: float = field(default_factory=time.perf_counter)
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    candidate: Candidate | None = None
    sent_model: str = ""
    status: int = 0
    cause: str = ""
    moved: list[str] = field(default_factory=list)
    first_ms: float | None = None
    tokens: TokenCount = field(default_factory=TokenCount)

    def ms(self) -> float:
        """Return the milliseconds since it came in."""
        return round((time.perf_counter() - self.began) * 1000, 2)
