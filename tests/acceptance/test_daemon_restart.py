"""Clients with open sessions, while the daemon or its database is restarted under them."""

import asyncio
import contextlib
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import httpx
import psutil
import pytest
from mcp.client.client import Client
from mcp.shared.exceptions import MCPError

from mahavishnu.base.processes import identify
from tests.support.command import Command
from tests.support.daemon import (
    Daemon,
    call,
    http_session,
    postmaster,
    running,
    start,
    stdio_session,
    wait_until,
)
from tests.support.external import free_port

pytestmark = pytest.mark.postgres

LOST = (httpx.TransportError, MCPError, ConnectionError, TimeoutError)


async def contents(command: Command) -> Counter[str]:
    """Return what is stored, as the command line sees it."""
    listed = await asyncio.to_thread(command, "memory", "list", "--limit", "1000", "--json")
    return Counter(each["content"] for each in listed.json["memories"])


class Sessions:
    """Clients that store one memory after the other, each with the session it began with."""

    def __init__(self) -> None:
        self.stored: list[str] = []
        self.errors: Counter[str] = Counter()
        self._end = asyncio.Event()

    async def work(self, name: str, client: Client, *, again: bool) -> None:
        """Store until told to end; with `again` a lost call is made again on the same session."""
        number = 0
        while not self._end.is_set():
            text = f"{name}, memory {number}."
            try:
                result = await client.call_tool("store_memory", {"content": text})
            except LOST as error:
                self.errors[name] += 1
                assert again, (name, error)
                await asyncio.sleep(0.05)
                continue
            assert not result.is_error, (name, result.content)
            self.stored.append(text)
            number += 1

    async def reach(self, more: int, timeout_s: float = 120) -> None:
        """Wait until so many more were stored by each client."""
        async with asyncio.timeout(timeout_s):
            wanted = Counter(text.partition(",")[0] for text in self.stored)
            names = set(wanted)
            while True:
                now = Counter(text.partition(",")[0] for text in self.stored)
                if now and all(now[name] >= wanted[name] + more for name in names | set(now)):
                    return
                await asyncio.sleep(0.02)

    def end(self) -> None:
        """Let all come to an end."""
        self._end.set()


@contextlib.asynccontextmanager
async def sessions(
    daemon: Daemon, *, http: int, stdio: int, mode: str = "auto"
) -> AsyncIterator[Sessions]:
    """Yield clients at work; at the end none has failed."""
    load = Sessions()
    async with contextlib.AsyncExitStack() as stack:
        opened: list[tuple[str, Client, bool]] = []
        for number in range(http):
            client = await stack.enter_async_context(http_session(daemon, insist=True, mode=mode))
            opened.append((f"http {number}", client, True))
        for number in range(stdio):
            client = await stack.enter_async_context(stdio_session(daemon.command, mode=mode))
            opened.append((f"stdio {number}", client, False))
        async with asyncio.TaskGroup() as tasks:
            for name, client, again in opened:
                tasks.create_task(load.work(name, client, again=again))
            yield load
            load.end()


async def restart(daemon: Daemon, number: int | None) -> None:
    """End the daemon, by `down` or by a signal, and start one on the same port."""
    if number is None:
        assert (await asyncio.to_thread(daemon.command, "down")).status == 0
    else:
        os.kill(daemon.process.pid, number)
        await asyncio.to_thread(wait_until, lambda: not daemon.process.alive)
    await asyncio.to_thread(start, daemon.command, port=daemon.port)


@pytest.mark.parametrize(
    ("number", "mode"),
    [(None, "auto"), (None, "legacy"), (signal.SIGKILL, "auto")],
    ids=["down and up", "down and up, version of 2025", "killed"],
)
async def test_open_sessions_live_through_a_restart(
    settled: Command, number: int | None, mode: str
) -> None:
    port = free_port()
    daemon = await asyncio.to_thread(start, settled, port=port)
    try:
        async with sessions(daemon, http=3, stdio=2, mode=mode) as load:
            await load.reach(3)
            await restart(daemon, number)
            await load.reach(5)
        assert not [name for name in load.errors if name.startswith("stdio")]
        kept = await contents(settled)
        assert set(load.stored) <= set(kept) and set(kept.values()) == {1}
        assert len(load.stored) == len(set(load.stored))
    finally:
        await asyncio.to_thread(settled, "down", "--force")


async def test_ten_stdio_clients_have_no_connection_of_their_own(settled: Command) -> None:
    def connections() -> int:
        asked = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
        return int(settled.sql(asked)) - 1  # psql's

    daemon = await asyncio.to_thread(start, settled)
    try:
        async with contextlib.AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(stdio_session(settled)) for _ in range(10)]
            for number, client in enumerate(clients):
                await call(client, "store_memory", content=f"Of client {number}.")

            async def all_are_the_pools() -> bool:
                with daemon.client() as http:
                    state = http.get("/api/v1/status").json()["database"]
                return await asyncio.to_thread(connections) == state["connections"]

            await until(all_are_the_pools)  # the daemon takes a lock on one of its own for a moment
    finally:
        await asyncio.to_thread(settled, "down", "--force")


# ---- the database


async def health(daemon: Daemon) -> int:
    async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
        return (await client.get(f"{daemon.url}/health")).status_code


def refused_cleanly(answer: httpx.Response) -> bool:
    error = answer.json()["error"]
    return answer.status_code == 503 and error["code"].startswith("database.") and error["message"]


async def until(condition: Callable[[], Coroutine[Any, Any, bool]], timeout_s: float = 120) -> None:
    async with asyncio.timeout(timeout_s):
        while not await condition():  # noqa: ASYNC110 - what is waited for is another process
            await asyncio.sleep(0.05)


async def test_the_database_restarted_under_load(settled: Command) -> None:
    daemon = await asyncio.to_thread(start, settled)
    refused: list[httpx.Response] = []
    stored: list[str] = []
    end = asyncio.Event()

    async def work(name: str) -> None:
        async with httpx.AsyncClient(
            base_url=daemon.url, headers=daemon.headers, timeout=60, trust_env=False
        ) as client:
            number = 0
            while not end.is_set():
                text = f"{name}, memory {number}."
                answer = await client.post("/api/v1/memories", json={"content": text})
                if answer.status_code in (200, 201):
                    stored.append(text)
                    number += 1
                else:
                    refused.append(answer)

    async def speak(client: Client) -> None:
        while not end.is_set():
            result = await client.call_tool("memory_stats", {})
            if result.is_error:
                assert result.meta is not None
                assert result.meta["mahavishnu/error"]["code"].startswith("database.")

    async def watch() -> None:
        while not end.is_set():
            assert await health(daemon) in (200, 503)

    async def more() -> None:
        before = len(stored)

        async def enough() -> bool:
            return len(stored) >= before + 20

        await until(enough)

    try:
        async with stdio_session(settled) as stdio, asyncio.TaskGroup() as tasks:
            for number in range(4):
                tasks.create_task(work(f"client {number}"))
            tasks.create_task(speak(stdio))
            tasks.create_task(watch())
            await more()
            for _ in range(2):
                os.kill(postmaster(settled).pid, signal.SIGKILL)
                await more()
            end.set()
        assert all(refused_cleanly(answer) for answer in refused), [a.text for a in refused]
        assert await health(daemon) == 200
        kept = await contents(settled)
        assert set(stored) <= set(kept) and set(kept.values()) == {1}
        assert identify(daemon.process.pid) == daemon.process
    finally:
        await asyncio.to_thread(settled, "down", "--force")


async def test_a_database_that_hangs_makes_health_say_so_to_all_who_ask(settled: Command) -> None:
    with running(settled) as daemon:
        assert await health(daemon) == 200
        held = postmaster(settled)
        backends = [held.pid, *children(held.pid)]
        for pid in backends:
            os.kill(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(1.1)  # the answer of before may be told for a second
            assert set(await asyncio.gather(*(health(daemon) for _ in range(5)))) == {503}
        finally:
            for pid in backends:
                os.kill(pid, signal.SIGCONT)

        async def well() -> bool:
            return await health(daemon) == 200

        await until(well)


def children(pid: int) -> list[int]:
    return [child.pid for child in psutil.Process(pid).children(recursive=True)]
