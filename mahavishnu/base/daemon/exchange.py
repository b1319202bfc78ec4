"""
POST requests to the running daemon with answers that are read while they come, over kept connections.

A general HTTP client costs the bridge of each terminal a millisecond a message and 15 MB; h11 does the
protocol, and the loopback address needs neither proxies nor certificates.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import h11

from mahavishnu.base.daemon.record import HOST
from mahavishnu.base.errors import Unavailable

CONNECT_TIMEOUT_S = 2.0
SILENCE_S = 60.0  # a daemon says at least every 15 seconds that it still works
PIECE = 1 << 16


class HttpAnswer:
    """The answer to one request: its status and headers (names in lower case), and what comes of it."""

    def __init__(self, connection: "_Connection", response: h11.Response) -> None:
        self._connection = connection
        self.status_code = response.status_code
        self.headers = {name.decode(): value.decode("latin-1") for name, value in response.headers}

    async def aiter_bytes(self) -> AsyncIterator[bytes]:
        """Yield the body in pieces."""
        while isinstance(event := await self._connection.next_event(), h11.Data):
            yield bytes(event.data)


class Exchange:
    """Sends to a daemon's ports; closed connections are opened again, idle ones used again."""

    def __init__(self) -> None:
        self._idle: dict[int, list[_Connection]] = {}

    async def aclose(self) -> None:
        """Close what is idle."""
        for connections in self._idle.values():
            for connection in connections:
                connection.close()
        self._idle.clear()

    @contextlib.asynccontextmanager
    async def post(
        self, port: int, path: str, body: bytes, headers: Mapping[str, str]
    ) -> AsyncIterator[HttpAnswer]:
        """
        Send one request and yield its answer; one that is not read to its end is broken off.

        Raises:
            Unavailable: `daemon.unreachable`, the connection could not be made, or was lost.
        """
        connection = self._take(port) or await _Connection.open(port)
        kept = False
        try:
            yield HttpAnswer(connection, await connection.send(path, body, headers))
            kept = connection.free()
        finally:
            if kept:
                self._idle.setdefault(port, []).append(connection)
            else:
                connection.close()

    def _take(self, port: int) -> "_Connection | None":
        connections = self._idle.get(port, [])
        while connections:
            connection = connections.pop()
            if connection.usable():
                return connection
            connection.close()
        return None


@contextlib.contextmanager
def _told_lost() -> Iterator[None]:
    """Raise as ours what the connection meets; not around what a caller does with the answer."""
    try:
        yield
    except (OSError, h11.RemoteProtocolError, EOFError) as error:
        raise Unavailable(
            "The daemon went away.", hint="See: mahavishnu status", code="daemon.unreachable"
        ) from error


class _Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._protocol = h11.Connection(h11.CLIENT)

    @classmethod
    async def open(cls, port: int) -> "_Connection":
        with _told_lost():
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                return cls(*await asyncio.open_connection(HOST, port))

    async def send(self, path: str, body: bytes, headers: Mapping[str, str]) -> h11.Response:
        request = h11.Request(
            method="POST",
            target=path,
            headers=[("host", HOST), ("content-length", str(len(body))), *headers.items()],
        )
        pieces = (self._protocol.send(e) for e in (request, h11.Data(body), h11.EndOfMessage()))
        self._writer.write(b"".join(filter(None, pieces)))
        with _told_lost():
            async with asyncio.timeout(SILENCE_S):
                await self._writer.drain()
        while not isinstance(event := await self.next_event(), h11.Response):
            pass  # a note that goes before it
        return event

    async def next_event(self) -> Any:
        """Return the next event of the protocol; raises `Unavailable` where the daemon ended too early."""
        with _told_lost():
            return await self._next_event()

    async def _next_event(self) -> Any:
        while (event := self._protocol.next_event()) is h11.NEED_DATA:
            async with asyncio.timeout(SILENCE_S):
                piece = await self._reader.read(PIECE)
            if not piece and self._protocol.their_state is h11.SEND_RESPONSE:
                raise EOFError("the daemon closed the connection")
            self._protocol.receive_data(piece)
        if isinstance(event, h11.ConnectionClosed):
            raise EOFError("the daemon closed the connection")
        return event

    def free(self) -> bool:
        """Make it ready for another request; tells whether it is."""
        done = (h11.DONE, h11.DONE)
        if (self._protocol.our_state, self._protocol.their_state) != done:
            return False
        self._protocol.start_next_cycle()
        return True

    def usable(self) -> bool:
        """Whether the daemon has not closed it meanwhile."""
        return not (self._reader.at_eof() or self._writer.is_closing())

    def close(self) -> None:
        self._writer.close()
