"""
Where the messages of a stdio client are answered: by the daemon, or by the same application in here.

Both take a POST as the daemon's `/mcp` does. A daemon is looked for again with every message, so one
that restarts is not noticed, and one that comes takes over.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Protocol

from mahavishnu.base.daemon.exchange import Exchange
from mahavishnu.base.daemon.record import find_daemon, find_listening
from mahavishnu.base.daemon.token import read_token
from mahavishnu.base.settings.sources import Loaded

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message

RESTART_S = 3.0  # how long a daemon that was there is waited for before its work is done here
STARTING_S = 60.0  # how long one that begins is waited for
POLL_S = 0.05


class Reply(Protocol):
    """The answer to one message, while it comes in."""

    @property
    def status_code(self) -> int:
        """HTTP status."""

    @property
    def headers(self) -> Mapping[str, str]:
        """HTTP headers, names in lower case."""

    def aiter_bytes(self) -> AsyncIterator[bytes]:
        """Yield the body in pieces."""


class Endpoints:
    """The daemon while there is one, this process while there is none."""

    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded
        self._lock = loaded.locations.daemon_lock
        self._exchange = Exchange()
        self._seen_at: float | None = None
        self._own: _OwnApplication | None = None

    async def aclose(self) -> None:
        """Close what was opened."""
        await self._exchange.aclose()
        await self._close_own()

    @contextlib.asynccontextmanager
    async def post(self, body: bytes, headers: Mapping[str, str]) -> AsyncIterator[Reply]:
        """
        Send one message and yield the reply.

        Raises:
            Unavailable: the connection to the daemon failed; what open_app raises, in here.
        """
        port = await self._daemon_port()
        if port is None:
            async with self._own_application().post(body, headers) as answered:
                yield answered
            return
        token = read_token(self._loaded.locations.token)
        sent = {**headers, "authorization": f"Bearer {token}"}
        async with self._exchange.post(port, "/mcp", body, sent) as reply:
            await self._close_own()
            yield reply

    async def _daemon_port(self) -> int | None:
        """Return where the daemon listens; one that restarts or begins is waited for a while."""
        started = time.monotonic()
        while True:
            now = time.monotonic()
            listening = find_listening(self._lock)
            if listening is not None:
                self._seen_at = now
                return listening.port
            begins = find_daemon(self._lock) is not None
            gone = self._seen_at is None or now - self._seen_at > RESTART_S
            if now - started > STARTING_S or (gone and not begins):
                return None
            await asyncio.sleep(POLL_S)

    def _own_application(self) -> "_OwnApplication":
        if self._own is None or self._own.failed:
            self._own = _OwnApplication(self._loaded)
        return self._own

    async def _close_own(self) -> None:
        """Close the application in here, where it is open and has nothing left to answer."""
        own = self._own
        if own is not None and own.idle:
            self._own = None
            await own.close()


class _OwnApplication:
    """The daemon's application without the daemon: no port, no token, no guard, two connections."""

    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded
        self._running = 0
        self._end = asyncio.Event()
        self._asgi: asyncio.Future[ASGIApp] = asyncio.get_running_loop().create_future()
        # Its task groups have to be entered and left by one and the same task, which no caller ends.
        self._task = asyncio.create_task(self._live())

    @property
    def idle(self) -> bool:
        """Whether nothing is being answered."""
        return self._running == 0

    @property
    def failed(self) -> bool:
        """Whether it could not be opened."""
        return self._asgi.done() and self._asgi.exception() is not None

    async def close(self) -> None:
        """Close it."""
        self._end.set()
        await self._task

    async def _live(self) -> None:
        from mahavishnu.interfaces.http.own_server import opened_server  # noqa: PLC0415 - only where no daemon runs

        try:
            async with opened_server(self._loaded) as asgi:
                self._asgi.set_result(asgi)
                await self._end.wait()
        except Exception as error:
            if self._asgi.done():
                raise
            self._asgi.set_exception(error)

    @contextlib.asynccontextmanager
    async def post(self, body: bytes, headers: Mapping[str, str]) -> AsyncIterator[Reply]:
        """Call the application, and yield the reply as it comes."""
        self._running += 1
        try:
            asgi = await asyncio.shield(self._asgi)  # of all who wait for it one may be cancelled
            reply = _OwnReply()
            work = asyncio.create_task(reply.fill(asgi, body, headers))
            try:
                await reply.begun()
                yield reply
            finally:
                work.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await work
        finally:
            self._running -= 1


class _OwnReply:
    """What an ASGI application sends for one POST."""

    def __init__(self) -> None:
        self.status_code = 0
        self.headers: dict[str, str] = {}
        self._begun = asyncio.Event()
        self._gone = asyncio.Event()
        self._pieces: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def fill(self, asgi: "ASGIApp", body: bytes, headers: Mapping[str, str]) -> None:
        """Run the application to its end."""
        given = iter([{"type": "http.request", "body": body, "more_body": False}])
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": "/mcp",
            "raw_path": b"/mcp",
            "query_string": b"",
            "root_path": "",
            "headers": [(b"host", b"localhost")]
            + [(name.encode(), value.encode("latin-1")) for name, value in headers.items()],
        }

        async def receive() -> "Message":
            message = next(given, None)
            if message is None:
                await self._gone.wait()
                return {"type": "http.disconnect"}
            return message

        async def send(message: "Message") -> None:
            if message["type"] == "http.response.start":
                self.status_code = message["status"]
                self.headers = {
                    name.decode("latin-1").lower(): value.decode("latin-1")
                    for name, value in message.get("headers", [])
                }
                self._begun.set()
            else:
                self._pieces.put_nowait(message.get("body", b""))

        try:
            await asgi(scope, receive, send)
        finally:
            self._begun.set()
            self._pieces.put_nowait(None)

    async def begun(self) -> None:
        """Wait for the status."""
        await self._begun.wait()

    async def aiter_bytes(self) -> AsyncIterator[bytes]:
        """Yield the body in pieces."""
        while (piece := await self._pieces.get()) is not None:
            yield piece
