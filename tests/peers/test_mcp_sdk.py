"""The SDK's own client over both transports, in both eras of the protocol, against the real daemon."""

import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import pytest
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

from mahavishnu.operations.table import OPERATIONS
from tests.support.command import PROGRAM
from tests.support.peers.running import Daemon

pytestmark = pytest.mark.peer


@asynccontextmanager
async def connected(daemon: Daemon, transport: str, mode: str) -> AsyncIterator[Client]:
    async with contextlib.AsyncExitStack() as stack:
        if transport == "http":
            bearer = {"Authorization": f"Bearer {daemon.token}"}
            http = await stack.enter_async_context(httpx2.AsyncClient(headers=bearer))
            target = streamable_http_client(f"{daemon.url}/mcp", http_client=http)
        else:
            target = stdio_client(
                StdioServerParameters(
                    command=str(PROGRAM),
                    args=["mcp", "serve", "--transport", "stdio"],
                    env=daemon.command.environ(),
                )
            )
        yield await stack.enter_async_context(Client(target, mode=mode))


@pytest.mark.verifies("MCP Python SDK's client, HTTP and stdio")
@pytest.mark.parametrize("mode", ["auto", "legacy"])
@pytest.mark.parametrize("transport", ["http", "stdio"])
async def test_a_client_stores_finds_and_goes_on_after_a_restart(
    daemon: Daemon, transport: str, mode: str
) -> None:
    steps: list[float] = []

    async def count(done: float, _total: float | None, _message: str | None) -> None:
        steps.append(done)

    async with connected(daemon, transport, mode) as client:
        expected = {"auto": "2026-07-28", "legacy": "2025-11-25"}[mode]
        assert client.protocol_version == expected
        assert len((await client.list_tools()).tools) == len(OPERATIONS)
        text = f"The lighthouse of {transport} {mode} has 217 steps."
        stored = await client.call_tool("store_memory", {"content": text})
        assert not stored.is_error and stored.structured_content
        identifier = stored.structured_content["id"]
        question = {"query": f"steps of the lighthouse of {transport} {mode}"}
        for _ in range(2):
            found = await client.call_tool("search", question, progress_callback=count)
            assert found.structured_content
            assert text in [hit["content"] for hit in found.structured_content["hits"]]
            [content] = (await client.read_resource(f"memory://{identifier}")).contents
            assert getattr(content, "text", None) == text
            prompt = await client.get_prompt("recall", {"subject": question["query"]})
            assert text in str(prompt.messages[0].content)
            daemon.restart()
        refused = await client.call_tool("get_memory", {"id": "0000dead"})
        assert refused.is_error and refused.structured_content is None and refused.meta
        assert refused.meta["mahavishnu/error"]["code"] == "memory.not_found"
    assert steps.count(2.0) == 2
