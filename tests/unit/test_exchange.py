"""POSTs to the daemon: connections are kept, lost ones told, and a caller's own errors stay its own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from mahavishnu.base.daemon.exchange import Exchange
from mahavishnu.base.errors import Unavailable

WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: b\r\n\r\nok"


@asynccontextmanager
async def answering(*answers: bytes) -> AsyncIterator[tuple[int, list[int]]]:
    """Answer the requests of each connection in turns; an empty answer closes. Yields port and connections."""
    connections: list[int] = []
    waiting = list(answers)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(0)
        try:
            while waiting:
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(int(head.partition(b"content-length: ")[2].split()[0]))
                answer = waiting.pop(0)
                writer.write(answer)
                if answer != WHOLE:
                    break
        except asyncio.IncompleteReadError:
            pass
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], connections


async def ask(exchange: Exchange, port: int) -> bytes:
    async with exchange.post(port, "/mcp", b"body", {"accept": "x"}) as answer:
        assert (answer.status_code, answer.headers["x-a"]) == (200, "b")
        return b"".join([piece async for piece in answer.aiter_bytes()])


async def test_a_connection_is_kept_and_one_that_was_closed_replaced() -> None:
    exchange = Exchange()
    async with answering(WHOLE, WHOLE, WHOLE) as (port, connections):
        assert [await ask(exchange, port) for _ in range(3)] == [b"ok"] * 3
        assert len(connections) == 1
    await exchange.aclose()


@pytest.mark.parametrize("answer", [b"", WHOLE[:20], WHOLE[:-1], b"nonsense\r\n\r\n"])
async def test_a_daemon_that_goes_away_is_told(answer: bytes) -> None:
    exchange = Exchange()
    async with answering(answer) as (port, _):
        with pytest.raises(Unavailable) as caught:
            await ask(exchange, port)
    assert caught.value.code == "daemon.unreachable"
    with pytest.raises(Unavailable):  # nobody listens any more
        await ask(exchange, port)
    await exchange.aclose()


async def test_what_a_caller_meets_is_not_taken_for_a_lost_daemon() -> None:
    exchange = Exchange()
    async with answering(WHOLE) as (port, _):
        with pytest.raises(BrokenPipeError):  # the reader of stdout has gone
            async with exchange.post(port, "/mcp", b"body", {}):
                raise BrokenPipeError
    await exchange.aclose()
