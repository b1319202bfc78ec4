"""What the daemon needs goes away and comes back: the model server, room on the disk."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.test_cli_processes import many_words
from tests.support.command import ROOT, Command
from tests.support.daemon import Daemon, layout, running, start, stdio_session, wait_until
from tests.support.fake_servers import FakeModel, FakeServer, ollama_server
from tests.support.small_disk import fill, small_disk
from tests.support.stdio import HELLO, served

pytestmark = pytest.mark.postgres


def _model_server() -> FakeServer:
    return ollama_server(FakeModel("nomic-embed-text", 768))


class Model:
    """A model server that comes and goes, always at the same port."""

    def __init__(self) -> None:
        self.server = _model_server()

    async def come(self, port: int = 0) -> int:
        """Start to serve; returns the port."""
        self.server = _model_server()
        self.server._server = await asyncio.start_server(self.server._serve, "127.0.0.1", port)
        return self.server.port

    async def go(self) -> None:
        """Serve no more."""
        await self.server.__aexit__()


async def ask(daemon: Daemon, query: str) -> dict[str, Any]:
    async with httpx.AsyncClient(
        base_url=daemon.url, headers=daemon.headers, timeout=60, trust_env=False
    ) as client:
        answer = await client.post("/api/v1/search", json={"query": query, "explain": True})
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body


async def store(daemon: Daemon, text: str) -> dict[str, Any]:
    async with httpx.AsyncClient(
        base_url=daemon.url, headers=daemon.headers, timeout=60, trust_env=False
    ) as client:
        answer = await client.post("/api/v1/memories", json={"content": text})
        assert answer.status_code == 201, answer.text
        body: dict[str, Any] = answer.json()
        return body


async def comes_true(condition: Callable[[], Any], timeout_s: float = 60) -> None:
    async with asyncio.timeout(timeout_s):
        while not await condition():  # noqa: ASYNC110 - what is waited for is another process
            await asyncio.sleep(0.2)


async def test_the_model_server_is_away_comes_goes_and_comes(settled: Command) -> None:
    model = Model()
    port = await model.come()
    await model.go()
    environment = {
        **settled.environment,
        "MAHAVISHNU_EMBEDDING_PROVIDER": "ollama",
        "OLLAMA_BASE_URL": f"http://127.0.0.1:{port}",
    }
    command = replace(settled, environment=environment)
    daemon = await asyncio.to_thread(start, command)

    async def degraded() -> bool:
        return bool((await ask(daemon, "Where do foxes live?"))["degraded"])

    async def waiting() -> int:
        async with httpx.AsyncClient(headers=daemon.headers, trust_env=False) as client:
            return int((await client.get(f"{daemon.url}/api/v1/status")).json()["waiting"])

    async def embedded() -> bool:
        return await waiting() == 0

    async def whole() -> bool:
        return not await degraded()

    try:
        first = await store(daemon, "Foxes live in the wood.")
        assert not first["embedded"] and await waiting() == 1
        found = await ask(daemon, "foxes")
        assert [each["id"] for each in found["hits"]] == [first["id"]] and found["degraded"]

        await model.come(port)  # the daemon embeds what waits without being asked
        await comes_true(embedded)
        await comes_true(whole)
        assert (await store(daemon, "Owls live there too."))["embedded"]
        assert (await ask(daemon, "a question without common words"))["hits"]

        await model.go()
        third = await store(daemon, "Bees live in the garden.")
        assert not third["embedded"]
        found = await ask(daemon, "bees")
        assert found["hits"][0]["id"] == third["id"] and found["degraded"]

        await model.come(port)
        await comes_true(embedded)
        await comes_true(whole)
    finally:
        await asyncio.to_thread(command, "down", "--force")
        await model.go()
    assert "Traceback" not in daemon.log


# ---- a full disk

small = pytest.mark.skipif(not ROOT, reason="only root can mount a small file system")


@small
@pytest.mark.parametrize("first", [True, False], ids=["first start", "later start"])
def test_a_start_on_a_full_disk_says_so(
    alone: Command, place: Callable[[Path], None], first: bool
) -> None:
    with small_disk(alone.root, 160):
        if not first:
            place(layout(alone).folder)
        fill(alone.root / "ballast", leave_mb=0)
        for words in (("up", "--port", "0"), ("up", "--port", "0", "--detach")):
            process = alone.start(*words, "--json")
            try:
                out, err = process.communicate(timeout=120)
            finally:
                process.kill()
            assert process.returncode == 5 and out == b"", (out, err)
            assert b"disk_full" in err and b"Traceback" not in err
        told = alone("status", "--json").json
        assert not told["running"]
        (alone.root / "ballast").unlink()
        with running(alone) as daemon:
            daemon.store("Room again.")


@small
async def test_a_store_on_a_full_disk_is_refused_and_the_daemon_goes_on(
    alone: Command, place: Callable[[Path], None]
) -> None:
    with small_disk(alone.root, 160):
        place(layout(alone).folder)
        daemon = await asyncio.to_thread(start, alone)
        try:
            kept = await asyncio.to_thread(daemon.store, "Before.")
            ballast = alone.root / "ballast"
            fill(ballast, leave_mb=3)
            text = many_words(1, 1_000_000)
            async with stdio_session(alone) as stdio:
                with daemon.client() as client:
                    for number in range(80):
                        body = {"content": text[number:]}
                        answer = await asyncio.to_thread(client.post, "/api/v1/memories", json=body)
                        if answer.status_code != 201:
                            break
                    assert answer.status_code == 503
                    assert answer.json()["error"]["code"] == "database.disk_full"
                    body = {"content": text[number + 1 :]}
                    told = await stdio.call_tool("store_memory", body)
                    assert told.is_error and told.meta
                    assert told.meta["mahavishnu/error"]["code"] == "database.disk_full"
                    assert client.get(f"/api/v1/memories/{kept}").json()["content"] == "Before."
                    ballast.unlink()

                    def stored() -> bool:
                        again = client.post("/api/v1/memories", json={"content": "Room again."})
                        return again.status_code == 201

                    await asyncio.to_thread(wait_until, stored)
            assert daemon.process.alive
        finally:
            await asyncio.to_thread(alone, "down", "--force")


@small
def test_a_session_that_begins_on_a_full_disk_is_told_so_and_goes_on(alone: Command) -> None:
    with small_disk(alone.root, 160):
        fill(alone.root / "ballast", leave_mb=0)
        with served(alone, greet=False) as line:
            told = line.ask(0, "initialize", HELLO)
            assert "full" in told["error"]["message"], told
            assert line.process.poll() is None
            (alone.root / "ballast").unlink()
            assert line.ask(1, "initialize", HELLO)["result"]
            assert line.tool(2, "store_memory", content="Room again.")["created"]
