"""
The checks before every route: host, origin, token, size, number and time of requests.

The order is that of the cost: nothing of a request is read before it may be here at all.
"""

import asyncio
import re
import time
from collections import deque
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mahavishnu.base.daemon.same_settings import HEADER, mark_settings
from mahavishnu.base.daemon.token import TokenFile
from mahavishnu.base.errors import Conflict, Forbidden, MahavishnuError
from mahavishnu.base.logs import get_logger
from mahavishnu.base.settings.tree import ServerSettings
from mahavishnu.base.telemetry.spans import span
from mahavishnu.interfaces.http.answers import HttpError, masked, refuse
from mahavishnu.interfaces.http.log_limits import LimitedLog
from mahavishnu.interfaces.http.metrics import Metrics, route_of

_HOST = re.compile(r"(127\.0\.0\.1|localhost)(:[0-9]{1,5})?", re.IGNORECASE)
OPEN_PATHS = frozenset({"/health"})
UNTRACED_PATHS = OPEN_PATHS | {"/metrics"}  # which programs ask for all day
STREAMED_PATHS = frozenset({"/api/v1/memories/batch"})
STREAMED_TIMES = 8  # as many bytes as an ordinary request may have
TOO_SLOW = "http.timeout"
MAX_HELD = 256 * 1024 * 1024  # bytes of all bodies that wait in memory to be whole
LINGER_S = 5.0  # how long the rest of a refused body is read, so that its sender hears the answer
_log = get_logger(__name__)


class Guard:
    """Lets through what may pass, and answers the rest itself."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        token: TokenFile,
        limits: ServerSettings,
        metrics: Metrics,
        settings: object = None,
    ) -> None:
        self._app = app
        self._settings = settings  # which a command of the same machine may ask for
        self._token = token
        self._limits = limits
        self._metrics = metrics
        self._active = 0
        self._held = 0
        self._log = LimitedLog()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; websockets and the like are not spoken here."""
        if scope["type"] != "http":
            return
        started = time.perf_counter()
        answer = _Answer(send, self._limits.request_timeout)
        open_to_all = scope["path"] in OPEN_PATHS
        try:
            self._admit(scope)
            if open_to_all:  # holds nothing, and so takes nobody's place
                await self._run(scope, receive, receive, answer)
        except MahavishnuError as error:
            response = refuse(error)
            if open_to_all:
                response.headers["connection"] = "close"  # whatever else it sends is not read
            else:
                await _drain(scope, receive)
            await response(scope, receive, answer)
        else:
            if scope["path"] not in UNTRACED_PATHS:
                await self._trace(scope, receive, answer)
            elif not open_to_all:
                await self._serve(scope, receive, answer)
        spent_s = time.perf_counter() - started
        self._metrics.count(scope.get("operation") or scope["path"], answer.status, spent_s)
        _log.debug(
            "request", method=scope["method"], path=scope["path"], status=answer.status,
            ms=round(spent_s * 1000, 1),
        )  # fmt: skip

    async def _trace(self, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        """Serve a request in a span, below that of who asks."""
        method = scope["method"]
        attributes = {"http.request.method": method, "url.scheme": "http"}
        with span(method, attributes, kind="server", carrier=Headers(scope=scope)) as seen:
            await self._serve(scope, receive, answer)
            route = scope.get("template") or route_of(scope["path"])
            seen.rename(f"{method} {route}")
            seen.set({"http.route": route, "http.response.status_code": answer.status})
            if answer.status >= 500 or not answer.status:
                seen.fail(str(answer.status))

    def _admit(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        check_host(headers)
        check_origin(headers)
        if scope["path"] in OPEN_PATHS:
            check_no_body(headers)
            return
        token = self._check_token(headers)
        self._check_settings(headers, token)
        check_encoding(headers)
        length = headers.get("content-length", "")
        if length.isdecimal() and (len(length) > 18 or int(length) > self._most(scope)):
            raise self._too_large(scope)
        if self._active >= self._limits.max_requests:
            raise HttpError(
                429,
                f"{self._limits.max_requests:,} requests are being served already.",
                hint="Try again in a second; server.max_requests is the bound.",
                code="http.too_many",
            )

    def _check_settings(self, headers: Headers, token: str) -> None:
        """Refuse a command that was started with other settings: it may mean another database."""
        mark = headers.get(HEADER)
        if mark is not None and mark != mark_settings(self._settings, token):
            raise Conflict("The daemon has other settings.", code="daemon.other_settings")

    def _check_token(self, headers: Headers) -> str:
        """Return the token of the request."""
        scheme, _, given = headers.get("authorization", "").partition(" ")
        try:
            known = scheme.lower() == "bearer" and self._token.matches(given.strip())
        except MahavishnuError as error:
            if (unsaid := self._log.ask(error.code)) is not None:
                _log.error("token_unusable", code=error.code, reason=error.message, unsaid=unsaid)
            known = False
        if not known:
            raise HttpError(
                401,
                "This needs the daemon's token.",
                hint="Send it as: Authorization: Bearer TOKEN. To see it: mahavishnu token show",
                code="http.unauthorized",
            )
        return given.strip()

    async def _serve(self, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        self._active += 1
        self._metrics.active.set(self._active)
        streamed = scope["path"] in STREAMED_PATHS
        counted = _Counted(
            receive,
            self._limits.request_timeout,
            self._most(scope),
            self._too_large(scope),
            whole=not streamed,
        )
        try:
            body: Receive | None = counted
            if not streamed:
                body = await _buffered(counted, receive, self._hold)
            if body is not None:  # else the client has gone
                await self._run(scope, body, receive, answer)
        except MahavishnuError as error:
            if not answer.status:
                if not counted.complete and error.code != TOO_SLOW:  # from whom more may come
                    await _drain(scope, receive)
                await refuse(error)(scope, receive, answer)
        finally:
            self._held -= counted.held
            self._active -= 1
            self._metrics.active.set(self._active)

    async def _run(self, scope: Scope, body: Receive, receive: Receive, answer: "_Answer") -> None:
        """Let the application answer; a fault of it is logged, and masked where nothing was said yet."""
        try:
            await self._app(scope, body, answer)
        except MahavishnuError:
            raise
        except Exception:
            if answer.stalled:  # the connection is given up; an error inside a group, or alone
                self._metrics.stalled.inc()
                return
            _log.error("request_failed", path=scope["path"], exc_info=True)
            if answer.status:
                raise
            await refuse(masked())(scope, receive, answer)

    def _hold(self, size: int) -> None:
        """Take note of bytes that stay in memory; refuses where all requests together have too many."""
        self._held += size
        if self._held > MAX_HELD:
            raise HttpError(
                429,
                "The requests that are being sent are too large together.",
                hint="Try again in a second.",
                code="http.too_many",
            )

    def _most(self, scope: Scope) -> int:
        return self._limits.max_body * (STREAMED_TIMES if scope["path"] in STREAMED_PATHS else 1)

    def _too_large(self, scope: Scope) -> HttpError:
        return HttpError(
            413,
            f"The request has more than {self._most(scope):,} bytes.",
            hint="Send less at once; server.max_body is the bound.",
            code="http.too_large",
        )


def check_host(headers: Headers) -> None:
    """Refuse another host's name, by which a page elsewhere could reach this one (DNS rebinding)."""
    given = headers.getlist("host")
    if len(given) != 1 or not _HOST.fullmatch(given[0]):
        raise HttpError(
            421,
            "This server answers to 127.0.0.1 and localhost alone.",
            hint="Take that for the host of the address.",
            code="http.host",
        )


def check_origin(headers: Headers) -> None:
    """Refuse what a page of another origin sends; programs send no origin at all."""
    origins = headers.getlist("origin")
    site = headers.get("sec-fetch-site", "none")
    own = f"http://{headers.get('host')}".lower()
    if any(origin != own for origin in origins) or site not in ("none", "same-origin"):
        raise Forbidden("Pages of another origin may not ask.", code="http.origin")


def check_no_body(headers: Headers) -> None:
    """Refuse a body where none is read: whoever has no token could send it for ever."""
    if headers.get("content-length", "0").strip("0") or "transfer-encoding" in headers:
        raise HttpError(413, "This address takes no body.", code="http.too_large")


def check_encoding(headers: Headers) -> None:
    """Refuse a body that is compressed; its bytes would else be taken for the text."""
    if headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise HttpError(
            415,
            "The body is compressed.",
            hint="Send it as it is, without Content-Encoding.",
            code="http.content_encoding",
        )


class _Answer:
    """The sending side of a request: knows the status, and waits for no reader longer than allowed."""

    def __init__(self, send: Send, timeout_s: float) -> None:
        self._send = send
        self._timeout_s = timeout_s
        self.status = 0
        self.stalled = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message.setdefault("headers", []).append((b"x-content-type-options", b"nosniff"))
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._send(message)
        except TimeoutError:
            self.stalled = True
            raise


class _Counted:
    """The receiving side of a request: bounded in bytes, and in time: of a piece, or of it all."""

    def __init__(
        self, receive: Receive, timeout_s: float, most: int, refusal: HttpError, *, whole: bool
    ) -> None:
        self._receive = receive
        self._timeout_s = timeout_s
        self._left = most
        self._refusal = refusal
        self._until = asyncio.get_running_loop().time() + timeout_s if whole else None
        self.complete = False
        self.held = 0

    async def __call__(self) -> Message:
        if self.complete:
            return await self._receive()  # waits for the client to go; that has no bound
        try:
            until = self._until or asyncio.get_running_loop().time() + self._timeout_s
            async with asyncio.timeout_at(until):
                message = await self._receive()
        except TimeoutError:
            raise HttpError(
                408,
                "The request did not arrive in time.",
                hint="Send it again.",
                code=TOO_SLOW,
            ) from None
        if message["type"] == "http.request":
            self._left -= len(message.get("body", b""))
            self.complete = not message.get("more_body", False)
            if self._left < 0:
                raise self._refusal
        return message


async def _buffered(
    body: _Counted, receive: Receive, hold: Callable[[int], None]
) -> Receive | None:
    """Read a whole body, and return what hands it out as one piece; None where the client went."""
    pieces: list[bytes] = []
    while True:
        message = await body()
        if message["type"] != "http.request":
            return None
        pieces.append(message.get("body", b""))
        body.held += len(pieces[-1])
        hold(len(pieces[-1]))
        if not message.get("more_body", False):
            whole = b"".join(pieces)
            waiting = deque([{"type": "http.request", "body": whole, "more_body": False}])
            break

    async def replay() -> Message:
        return waiting.popleft() if waiting else await receive()

    return replay


async def _drain(scope: Scope, receive: Receive) -> None:
    """Read and drop the rest of a body: a client that still sends would not see the answer."""
    if scope["method"] in ("GET", "HEAD"):
        return
    try:
        async with asyncio.timeout(LINGER_S):
            while (message := await receive())["type"] == "http.request":
                if not message.get("more_body", False):
                    return
    except TimeoutError:
        return
