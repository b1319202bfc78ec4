"""
The gateway's server on 127.0.0.1: who may ask, how much, and where it goes.

The order of the checks is that of their cost; nothing of a request is read before its token was seen.
"""

import asyncio
import contextlib
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestHandler

from mahavishnu.base.logs import get_logger
from mahavishnu.gateway.arrived import Arrived, ClientGone
from mahavishnu.gateway.breaker import Breakers
from mahavishnu.gateway.chain import choose
from mahavishnu.gateway.daily import DailyUse
from mahavishnu.gateway.limits import DailyLimit
from mahavishnu.gateway.notes import GatewayNotes
from mahavishnu.gateway.passing import Passing
from mahavishnu.gateway.places import HEALTH
from mahavishnu.gateway.sight import Sight
from mahavishnu.gateway.wire import AskedModel, Side, error_body, find_meaning, read_asked, side_of

_HOST = re.compile(r"(127\.0\.0\.1|localhost)(:[0-9]{1,5})?", re.IGNORECASE)
HELLO = "/anthropic/api/hello"
_PIECE_S = 60.0  # how long a client may take for a piece of its request
_IDLE_S = 75.0
_log = get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class GatewayLimits:
    """The bounds of the server; `daily` by profile."""

    max_requests: int = 512
    max_body: int = 100 * 1024 * 1024
    max_held: int = 512 * 1024 * 1024  # bytes of all requests together
    head_s: float = 30.0
    daily: Mapping[str, DailyLimit] = field(default_factory=dict)


class GatewayRefusal(Exception):
    """What the gateway itself answers."""

    def __init__(self, status: int, message: str, code: str, *, again: bool = False) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.again = status, message, code, again


class GatewayServer:
    """Answers requests; `protocol` is what a connection is made with."""

    def __init__(
        self,
        sight: Sight,
        passing: Passing,
        breakers: Breakers,
        notes: GatewayNotes,
        daily: DailyUse,
        limits: GatewayLimits,
    ) -> None:
        self._sight = sight
        self._passing = passing
        self._breakers = breakers
        self._notes = notes
        self._daily = daily
        self._limits = limits
        self._active = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._held = 0

    def listener(self) -> web.Server:
        """Return what connections are handed to."""
        return _Listener(
            self.answer,
            head_s=self._limits.head_s,
            most=self._limits.max_requests + 128,
            handler_cancellation=True,
            access_log=None,
            keepalive_timeout=_IDLE_S,
            lingering_time=5.0,
            auto_decompress=False,
            logger=_server_logger(),
        )

    async def idle(self, within_s: float) -> None:
        """Wait until no request runs, or so long."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), within_s)

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        side = side_of(request.path)
        try:
            _check_place(request)
            if request.path in (HEALTH, HELLO):
                return web.json_response({"status": "ok"}, headers={"Server": "mahavishnu"})
            client = self._client_of(request)
            if self._active >= self._limits.max_requests:
                raise GatewayRefusal(
                    503, "Too many requests at once.", "gateway.too_many", again=True
                )
            self._active += 1
            self._idle.clear()
            held = _HeldBytes(self)
            try:
                return await self._pass(request, client, held)
            finally:
                self._active -= 1
                if not self._active:
                    self._idle.set()
                self._held -= held.size
        except GatewayRefusal as refused:
            return _refuse(side, refused)
        except ClientGone:
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=499)

    async def _pass(
        self, request: web.BaseRequest, client: str, held: "_HeldBytes"
    ) -> web.StreamResponse:
        meaning = find_meaning(request.method, request.path)
        if meaning is None:
            raise GatewayRefusal(404, "The gateway has no such path.", "gateway.path")
        route = self._sight.routes.get().get(client)
        if route is None:
            raise GatewayRefusal(
                404,
                f"{client} has no route; make one: mahavishnu ai switch-llm NAME --via gateway",
                "gateway.no_route",
            )
        body = await self._read(request, held) if request.method == "POST" else b""
        asked = read_asked(body) if body else AskedModel()
        if asked is None or (request.method == "POST" and not asked.model):
            raise GatewayRefusal(400, "The request is no JSON with a model.", "gateway.request")
        chosen = choose(
            route,
            meaning,
            asked.model,
            profiles=self._sight.profiles.get(),
            breakers=self._breakers,
            within_limit=self._daily.is_within,
        )
        for profile in chosen.limited:
            self._notes.limited(profile, datetime.now().astimezone().date())
        if chosen.refusal:
            status = 429 if chosen.why == "gateway.daily_limit" else 400
            raise GatewayRefusal(status, chosen.refusal, chosen.why)
        arrived = Arrived(
            request=request, client=client, route=route, meaning=meaning, asked=asked, body=body
        )
        return await self._passing.run(arrived, chosen)

    def _client_of(self, request: web.BaseRequest) -> str:
        scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
        given = (
            bearer.strip() if scheme.lower() == "bearer" else request.headers.get("x-api-key", "")
        )
        client = self._sight.client_of(given) if given else None
        if client is None:
            raise GatewayRefusal(
                401,
                "This is no token of the gateway; switch again: mahavishnu ai switch-llm NAME --via gateway",
                "gateway.unauthorized",
            )
        return client

    async def _read(self, request: web.BaseRequest, held: "_HeldBytes") -> bytes:
        """Return the body, which is needed whole: another profile may have to get it too."""
        if request.headers.get("Content-Encoding", "identity").lower() not in ("", "identity"):
            raise GatewayRefusal(415, "The request is compressed.", "gateway.compressed")
        length = request.content_length or 0
        body = bytearray()  # pieces of their own would take as much memory again
        if length > self._limits.max_body:
            raise self._too_large()
        try:
            while True:
                async with asyncio.timeout(_PIECE_S):
                    piece = await request.content.readany()
                if not piece:
                    return bytes(body)
                body += piece
                held.add(len(piece))
                if held.size > self._limits.max_body:
                    raise self._too_large()
                if self._held > self._limits.max_held:
                    raise GatewayRefusal(
                        503, "The requests are too large together.", "gateway.too_many", again=True
                    )
        except TimeoutError:
            raise GatewayRefusal(
                408, "The request did not arrive in time.", "gateway.slow"
            ) from None
        except (OSError, web.RequestPayloadError) as error:
            raise ClientGone from error

    def hold(self, size: int) -> None:
        """Count bytes that stay in memory."""
        self._held += size

    def _too_large(self) -> GatewayRefusal:
        message = f"The request has more than {self._limits.max_body:,} bytes."
        return GatewayRefusal(413, message, "gateway.too_large")


class _HeldBytes:
    """The bytes of one request, counted among those of all."""

    def __init__(self, server: GatewayServer) -> None:
        self._server = server
        self.size = 0

    def add(self, size: int) -> None:
        self.size += size
        self._server.hold(size)


class _Listener(web.Server):
    """aiohttp's, with a bound of connections, and of the time until the first request of one is there."""

    def __init__(self, *arguments: Any, head_s: float, most: int, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._head_s = head_s
        self._most = most

    def __call__(self) -> RequestHandler:
        handler = super().__call__()
        asyncio.get_running_loop().call_later(self._head_s, _end_silent, handler)
        asyncio.get_running_loop().call_soon(self._bound, handler)
        return handler

    def _bound(self, handler: RequestHandler) -> None:
        if len(self.connections) > self._most and handler.transport is not None:
            handler.transport.abort()


class _WithoutHeads(logging.Filter):
    """Leaves out what quotes the head of a request that cannot be read: a token may be in it."""

    def filter(self, record: logging.LogRecord) -> bool:
        kind = record.exc_info[0] if record.exc_info else None
        return kind is None or not issubclass(kind, HttpProcessingError)


def _server_logger() -> logging.Logger:
    logger = logging.getLogger("aiohttp.server")
    logger.addFilter(_WithoutHeads())
    return logger


def _end_silent(handler: RequestHandler) -> None:
    if handler._request_count == 0 and handler.transport is not None:
        handler.transport.abort()


def _check_place(request: web.BaseRequest) -> None:
    """Refuse another host's name, by which a page elsewhere could reach this one, and what a page sends at all."""
    hosts = request.headers.getall("Host", [])
    if len(hosts) != 1 or not _HOST.fullmatch(hosts[0]):
        raise GatewayRefusal(
            421, "This server answers to 127.0.0.1 and localhost alone.", "gateway.host"
        )
    site = request.headers.get("Sec-Fetch-Site", "none")
    if "Origin" in request.headers or site != "none":
        raise GatewayRefusal(403, "Pages may not ask.", "gateway.origin")


def _refuse(side: Side, refused: GatewayRefusal) -> web.Response:
    headers = {"Server": "mahavishnu", "content-type": "application/json"}
    # Clients ask again for long; what will be the same then, they need not.
    headers["x-should-retry"] = "true" if refused.again else "false"
    if refused.again:
        headers["retry-after"] = "1"
    body = error_body(side, refused.status, refused.message, refused.code)
    response = web.Response(status=refused.status, headers=headers, body=body)
    if refused.status in (401, 413, 415, 421, 408):
        response.force_close()  # whatever else is sent is not read
    return response
