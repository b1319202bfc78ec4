"""What the HTTP adapters share: a client with bounded retries, error translation, the embedder."""

import asyncio
import email.utils
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import httpx
import msgspec

from mahavishnu.base.errors import (
    Corrupt,
    Forbidden,
    MahavishnuError,
    NotFound,
    Unavailable,
)
from mahavishnu.base.hosts import is_this_machine
from mahavishnu.embedding.batched import BatchedEmbedder
from mahavishnu.embedding.chunks import estimate_tokens
from mahavishnu.embedding.port import ModelIdentity, Vector
from mahavishnu.embedding.vectors import normalize, too_long

# Pauses before the second and the third try.
BACKOFF_S = (0.25, 1.0)
# A server that asks for a longer pause than this is reported, not waited for.
LONGEST_RETRY_AFTER_S = 20.0
TEXT_MAY_BE_AT_FAULT = frozenset((400, 413, 422))

type Rows = Sequence[Sequence[float | None]]


class HttpService:
    """
    JSON requests to one base URL, three tries at most, every failure one of ours.

    Redirects are not followed, so that headers and texts reach no other host. A proxy from the
    environment is not used for this machine itself.
    """

    def __init__(
        self,
        base_url: str,
        *,
        name: str,
        timeout_s: float,
        headers: Mapping[str, str] | None = None,
        backoff_s: Sequence[float] = BACKOFF_S,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.name = name
        self._backoff_s = backoff_s
        self._client = httpx.AsyncClient(
            headers=dict(headers or {}),
            timeout=httpx.Timeout(timeout_s, connect=min(timeout_s, 5.0)),
            trust_env=not is_this_machine(httpx.URL(base_url).host),
            follow_redirects=False,
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def call[T](self, method: str, path: str, *, reply: type[T], body: object = None) -> T:
        """Return the answer of `path` as a `reply`, after retries. Raises as the port says."""
        response = await self._send(method, path, body)
        try:
            return msgspec.convert(json.loads(response.content), reply)
        except (ValueError, msgspec.ValidationError) as error:
            raise Corrupt(
                f"{self.name} at {self.base_url} gave an answer of an unknown shape to {path}.",
                hint="Is another program listening at that address?",
                code="embedding.bad_reply",
            ) from error

    async def _send(self, method: str, path: str, body: object) -> httpx.Response:
        failure: Unavailable | None = None
        for pause_s in (*self._backoff_s, None):
            wait_s = pause_s
            try:
                response = await self._client.request(method, self.base_url + path, json=body)
            except httpx.TimeoutException as error:
                raise self._timed_out(error) from error
            except httpx.TransportError as error:
                failure = self._unreachable(error)
            else:
                if response.is_success:
                    return response
                failure = self._translate(response)
                wait_s = _retry_after_s(response) if response.status_code == 429 else pause_s
            if pause_s is None or wait_s is None or wait_s > LONGEST_RETRY_AFTER_S:
                break
            await asyncio.sleep(max(wait_s, pause_s))
        assert failure is not None
        raise failure

    def _timed_out(self, error: httpx.TimeoutException) -> Unavailable:
        if isinstance(error, httpx.ConnectTimeout):
            return self._unreachable(error)
        return Unavailable(
            f"{self.name} at {self.base_url} did not answer in time.",
            hint="The model may still be loading; try again, or allow it more time.",
            code="embedding.timeout",
        )

    def _unreachable(self, error: httpx.TransportError) -> Unavailable:
        return Unavailable(
            f"{self.name} cannot be reached at {self.base_url} ({type(error).__name__}).",
            hint="Is it running, and is the address right?",
            code="embedding.unreachable",
        )

    def _translate(self, response: httpx.Response) -> Unavailable:
        """Return the error of a status worth another try; raise that of any other."""
        status = response.status_code
        said = f"{self.name} answered {status}"
        if status in (401, 403):
            # The server's own words may quote the key, so they are left out.
            raise Forbidden(f"{said}: the key was not accepted.", code="embedding.forbidden")
        said += _detail(response)
        if status == 404:
            raise NotFound(f"{said}.", code="embedding.model_missing")
        if status == 429:
            return Unavailable(
                f"{said}: too many requests.",
                hint="Wait, or lower the batch size.",
                code="embedding.rate_limited",
            )
        failed = Unavailable(f"{said}.", code="embedding.server_failed")
        if status >= 500 or status == 408:
            return failed
        if status in TEXT_MAY_BE_AT_FAULT:
            raise Unavailable(f"{said}.", code="embedding.refused")
        raise failed


class RemoteEmbedder(BatchedEmbedder):
    """An Embedder (see the port) whose model lives behind `ask`, which embeds one batch."""

    def __init__(
        self,
        identity: ModelIdentity,
        *,
        ask: Callable[[Sequence[str]], Awaitable[Rows]],
        check: Callable[[], Awaitable[None]],
        close: Callable[[], Awaitable[None]],
        batch_size: int,
    ) -> None:
        super().__init__(identity, batch_size=batch_size)
        self._ask = ask
        self._check = check
        self._close = close

    async def check(self) -> None:
        """Ask the server whether it would serve the model."""
        await self._check()

    def count_tokens(self, text: str) -> int:
        """Estimate the tokens of `text` on the high side."""
        return estimate_tokens(text)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._close()

    async def _embed(self, batch: Sequence[str]) -> list[Vector]:
        self._reject_hopeless(batch)
        try:
            rows = await self._ask(batch)
        except Unavailable as error:
            if error.code not in ("embedding.refused", "embedding.server_failed"):
                raise
            # No status says "too long" or "these texts crash me" (servers word it differently), so
            # ask whether the server would embed something harmless.
            if not await self._serves_others():
                raise
            if error.code == "embedding.refused":
                raise too_long(self._identity) from error
            raise Corrupt(
                f"{self._identity.name} fails on these texts, though it embeds others: {error}",
                hint="Embed them one at a time to find the one.",
                code="embedding.input_failed",
            ) from error
        if len(rows) != len(batch):
            raise Corrupt(
                f"{self._identity.name} gave {len(rows)} vectors for {len(batch)} texts.",
                code="embedding.bad_reply",
            )
        return [normalize(row, identity=self._identity) for row in rows]

    def _reject_hopeless(self, batch: Sequence[str]) -> None:
        """
        Refuse texts with more words than the window has tokens: no tokenizer fits those.

        This also guards against servers that ignore the wish not to truncate.
        """
        for text in batch:
            words = len(text.split())
            if words > self._identity.window_tokens:
                raise too_long(self._identity, tokens=words)

    async def _serves_others(self) -> bool:
        try:
            await self._ask(["ok"])
        except MahavishnuError:
            return False
        return True


def _retry_after_s(response: httpx.Response) -> float | None:
    """Seconds of the Retry-After header, given in seconds or as a date; 0 without one."""
    value = response.headers.get("retry-after", "0").strip()
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None


def _detail(response: httpx.Response) -> str:
    """Return ": " and what the server says is wrong, shortened, or ""."""
    try:
        told: Any = response.json()
    except ValueError:
        return ""
    if isinstance(told, dict):
        told = told.get("error", told.get("detail", ""))
    if isinstance(told, dict):
        told = told.get("message", "")
    return f": {told.strip()[:200].rstrip('.')}" if isinstance(told, str) and told.strip() else ""
