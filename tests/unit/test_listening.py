"""The listening side of the daemon in this process: how many connections, how it ends, what it logs."""

import asyncio
import contextlib
import gc
import logging
import resource
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from mahavishnu.base.settings.tree import ServerSettings
from mahavishnu.daemon.port import bind
from mahavishnu.interfaces.http import serve as serving
from mahavishnu.interfaces.http.log_limits import LIBRARIES, Quiet, limit_log
from mahavishnu.interfaces.http.serve import (
    OTHER_FILES,
    SPARE_CONNECTIONS,
    allow_connections,
    listen,
    note_failure,
)

ASK = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def answer(scope: Scope, _receive: Receive, send: Send) -> None:
    """Answer at once, or at /slow never to the end."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    if scope["path"] == "/slow":
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        await asyncio.Event().wait()
    await send({"type": "http.response.body", "body": b"done"})


@contextlib.asynccontextmanager
async def listening(most: int = 10, drain_timeout: float = 5.0) -> AsyncIterator[int]:
    """Yield the port; a signal ends it afterwards."""
    begun = asyncio.Event()
    with contextlib.closing(bind(0)) as bound:
        port = bound.getsockname()[1]
        settings = ServerSettings(drain_timeout=drain_timeout)
        work = asyncio.create_task(listen(answer, bound, settings, most, begun.set, lambda: None))
        await begun.wait()
        try:
            yield port
        finally:
            signal.raise_signal(signal.SIGTERM)
            await work


@pytest.fixture
def quiet() -> Iterator[None]:
    limit_log()
    yield
    for name in LIBRARIES:
        logger = logging.getLogger(name)
        for each in [each for each in logger.filters if isinstance(each, Quiet)]:
            logger.removeFilter(each)


async def ask(port: int) -> tuple[asyncio.StreamWriter, bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(ASK)
    try:
        return writer, await reader.read(1_000)
    except ConnectionResetError:
        return writer, b""


async def test_so_many_connections_and_no_more() -> None:
    async with asyncio.timeout(60), listening(most=3) as port:
        held = [await ask(port) for _ in range(3)]
        assert all(got.startswith(b"HTTP/1.1 200") for _, got in held)
        for _ in range(20):
            writer, got = await ask(port)
            assert got == b""
            writer.close()
        held[0][0].close()
        await held[0][0].wait_closed()
        again, got = await ask(port)
        while not got:  # the server has yet to see that the other is closed
            again.close()
            again, got = await ask(port)
        assert got.startswith(b"HTTP/1.1 200")
        for writer in (again, *(writer for writer, _ in held)):
            writer.close()


async def test_the_system_keeps_more_that_wait_than_are_accepted_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[int] = []

    class Listening(socket.socket):
        def listen(self, backlog: int = 0, /) -> None:
            asked.append(backlog)
            super().listen(backlog)

    monkeypatch.setattr("socket.socket", Listening)
    async with asyncio.timeout(60), listening():
        assert asked == [serving.BACKLOG, serving.ACCEPTED_AT_ONCE, serving.BACKLOG]
        assert serving.ACCEPTED_AT_ONCE <= 128


async def test_a_drain_is_as_short_as_set_and_cuts_off_without_a_traceback(
    caplog: pytest.LogCaptureFixture, quiet: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    drains = []

    class Config(uvicorn.Config):
        def __init__(self, app: Any, **given: Any) -> None:
            drains.append(given["timeout_graceful_shutdown"])
            super().__init__(app, **given)

    monkeypatch.setattr("uvicorn.Config", Config)
    async with asyncio.timeout(60), listening(drain_timeout=0.2) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(ASK.replace(b"/ ", b"/slow ", 1))
        assert b"200 OK" in await reader.readline()
    await asyncio.sleep(0.05)
    assert drains == [0.2]
    assert not [record for record in caplog.records if record.exc_info]
    writer.close()


async def test_a_drain_of_no_time_says_nothing_where_nothing_runs(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with asyncio.timeout(60), listening(drain_timeout=0):
        pass
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_connections_are_fewer_than_files(monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "setrlimit", lambda _what, both: limits.append(both))

    def allowed(bound: int, most: int) -> int:
        monkeypatch.setattr(resource, "getrlimit", lambda _what: (bound, most))
        return allow_connections(2_048)

    wanted = 2_048 + SPARE_CONNECTIONS
    assert allowed(256, resource.RLIM_INFINITY) == wanted
    assert limits.pop() == (wanted + OTHER_FILES, resource.RLIM_INFINITY)
    assert allowed(256, 1_000_000) == wanted
    assert allowed(256, 1_024) == 1_024 - OTHER_FILES
    assert limits.pop() == (1_024, 1_024)
    assert allowed(256, 256) == 128
    assert allowed(100_000, 100_000) == wanted


async def test_a_connection_that_broke_unseen_leaves_no_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def fail(error: Exception) -> None:
        raise error

    loop = asyncio.get_running_loop()
    loop.set_exception_handler(note_failure)
    with caplog.at_level(logging.ERROR, "asyncio"):
        for error in (BrokenPipeError(32, "Broken pipe"), ValueError("a fault of ours")):
            task = loop.create_task(fail(error))
            await asyncio.wait([task])
            del task
            gc.collect()
    assert [str(each.exc_info[1]) for each in caplog.records if each.exc_info] == [
        "a fault of ours"
    ]
