"""`mahavishnu mcp serve` beside the daemon: hands on while one runs, serves by itself while none does."""

import asyncio
import contextlib
import os
import signal
import threading

import psutil
import pytest

from tests.support.command import Command
from tests.support.daemon import call, running, start, stdio_session, wait_until
from tests.support.stdio import HELLO, end, served

pytestmark = pytest.mark.postgres


def database_clients(command: Command) -> int:
    asked = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
    return int(command.sql(asked)) - 1  # psql's


async def test_one_session_changes_over_in_both_directions(settled: Command) -> None:
    def clients() -> int:
        return database_clients(settled)

    async with stdio_session(settled) as client:
        first = await call(client, "store_memory", content="By itself.")
        daemon = await asyncio.to_thread(start, settled)
        second = await call(client, "store_memory", content="By the daemon.")
        with daemon.client() as http:
            assert http.get(f"/api/v1/memories/{second['id']}").status_code == 200
            pool = http.get("/api/v1/status").json()["database"]["connections"]
        assert await asyncio.to_thread(clients) == pool
        assert (await asyncio.to_thread(settled, "down")).status == 0
        third = await call(client, "store_memory", content="By itself again.")
        listed = await call(client, "list_memories")
        assert {each["id"] for each in listed["memories"]} == {
            each["id"] for each in (first, second, third)
        }


async def test_it_waits_for_a_daemon_that_begins(settled: Command) -> None:
    """The first message comes while the daemon makes its database: there is one pool in the end."""
    process = settled.start("up", "--port", "0")
    try:
        await asyncio.to_thread(wait_until, (settled.root / "data/daemon.lock").exists)
        async with stdio_session(settled) as client:
            stored = await call(client, "store_memory", content="For the daemon.")
        told = await asyncio.to_thread(settled, "status", "--json")
        assert told.json["daemon"]["pid"] == process.pid and stored["created"]
    finally:
        process.terminate()
        process.communicate(timeout=120)


def test_a_cancelled_call_is_let_go_and_answered_no_more(settled: Command) -> None:
    """The call waits for a daemon that begins and does not get on."""
    with running(settled) as daemon, served(settled) as line:
        os.kill(daemon.process.pid, signal.SIGSTOP)
        try:
            line.send("tools/call", {"name": "memory_stats", "arguments": {}}, 1)
            line.send("tools/call", {"name": "memory_stats", "arguments": {}}, 2)
            line.send("notifications/cancelled", {"requestId": 1, "reason": "changed my mind"})
            line.send("notifications/cancelled", {"requestId": 99})
            line.send("notifications/cancelled", {"requestId": [1]})
            line.write(b"{\n")
            assert line.answer(None)["error"]["code"] == -32700  # what stood before is done
        finally:
            os.kill(daemon.process.pid, signal.SIGCONT)
        assert line.answer(2)["result"]
        assert line.tool(3, "memory_stats") is not None
        assert 1 not in [each.get("id") for each in line.messages]


def test_a_client_that_does_not_read_is_waited_for_in_bounded_memory(settled: Command) -> None:
    settled("memory", "store", input=("long " * 40_000).encode())
    with running(settled), served(settled, reading=False, greet=False) as line:
        process = psutil.Process(line.process.pid)
        line.send("initialize", HELLO, 0)
        asked = {"name": "list_memories", "arguments": {"max_tokens": None}}
        filler = {"_meta": {"filler": "x" * 50_000}}
        sent = 0

        def push() -> None:
            nonlocal sent
            with contextlib.suppress(OSError, ValueError):
                for number in range(1, 2_001):
                    line.send("tools/call", asked | filler, number)
                    sent = number

        pushing = threading.Thread(target=push, daemon=True)
        pushing.start()
        seen = -1

        def stands() -> bool:
            nonlocal seen
            before, seen = seen, sent
            return before == sent > 0

        for _ in range(3):
            threading.Event().wait(1.0)
            stands()
        wait_until(stands)
        assert sent < 1_000, "everything was read though nothing was taken"
        assert process.memory_info().rss < 250 << 20
        line.read_on()
        assert line.answer(1)["result"]
        assert line.answer(sent)["result"]


def test_the_token_is_needed_by_nobody_who_serves_alone(settled: Command) -> None:
    with served(settled) as line:
        assert line.tool(1, "store_memory", content="Alone.")["created"]
    assert not (settled.root / "state/token").exists()


def test_a_token_that_others_can_read_is_told_to_the_client(settled: Command) -> None:
    with running(settled), served(settled) as line:
        (settled.root / "state/token").chmod(0o644)
        line.send("tools/call", {"name": "memory_stats", "arguments": {}}, 1)
        told = line.answer(1)["error"]
        assert told["data"]["code"] == "daemon.token_exposed"
        assert "mahavishnu token rotate" in told["message"]
        assert settled("token", "rotate").status == 0
        assert line.tool(2, "memory_stats") is not None


def test_a_call_cancelled_while_the_database_starts_leaves_the_rest_alone(alone: Command) -> None:
    with served(alone, greet=False) as line:
        line.send("tools/call", {"name": "memory_stats", "arguments": {}}, 1)
        wait_until((alone.root / "data/postgres").exists)
        line.send("initialize", HELLO, 0)
        line.send("notifications/cancelled", {"requestId": 1})
        assert line.answer(0)["result"]
        assert line.tool(2, "store_memory", content="Stored.")["created"]
        status, err = end(line)
        assert (status, err) == (0, b"")
        assert 1 not in [each.get("id") for each in line.messages]
