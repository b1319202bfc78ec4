"""A daemon of a test's own: started on a free port, spoken to over HTTP and MCP, ended with the test."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import httpx2
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from mahavishnu.base.processes import ProcessIdentity, identify
from mahavishnu.database.embedded.state import KeeperRecord, Layout
from tests.support.command import PROGRAM, Command

NOT_RUNNING = {"running": False, "daemon": None, "state": None, "problem": None,
               "spooled": 0, "spool_problem": None, "paused": None,
               "proven_backup_at": None, "proven_backup_created_at": None}  # fmt: skip
STDIO = ("mcp", "serve", "--transport", "stdio")


@dataclass(frozen=True)
class Daemon:
    """A daemon that runs, or ran."""

    command: Command
    process: ProcessIdentity
    port: int

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def headers(self) -> dict[str, str]:
        """What lets a request in, by the token that the file holds now."""
        token = (self.command.root / "state/token").read_text().strip()
        return {"Authorization": f"Bearer {token}"}

    @property
    def log(self) -> str:
        """What it wrote."""
        return (self.command.root / "state/daemon.log").read_text()

    def client(self, timeout_s: float = 60.0, **options: Any) -> httpx.Client:
        """Return an HTTP client with the token of now."""
        return httpx.Client(
            base_url=self.url, headers=self.headers, timeout=timeout_s, trust_env=False, **options
        )

    def store(self, text: str, **fields: Any) -> str:
        """Store a memory and return its id."""
        with self.client() as client:
            answer = client.post("/api/v1/memories", json={"content": text, **fields})
        assert answer.status_code in (200, 201), answer.text
        return str(answer.json()["id"])


def record(command: Command) -> Path:
    """Return where the daemon of a home writes down who it is."""
    return command.root / "data/daemon.lock"


def told_status(command: Command) -> dict[str, object]:
    """Return what `status` tells, but for the log."""
    body = command("status", "--json").json
    assert body.pop("log") in (None, str(command.root / "state/daemon.log"))
    return body


def layout(command: Command) -> Layout:
    """Return where the embedded database of a home is."""
    return Layout(command.root / "data/postgres")


def servers(command: Command) -> list[ProcessIdentity]:
    """Return the keeper and the postmaster of a home that are alive."""
    found = KeeperRecord.read(layout(command).keeper_lock)
    known = (
        [] if found is None else [found.keeper, *([found.postmaster] if found.postmaster else [])]
    )
    return [process for process in known if process.alive]


def postmaster(command: Command) -> ProcessIdentity:
    """Return the postmaster of a home; asserts that one is known."""
    found = KeeperRecord.read(layout(command).keeper_lock)
    assert found and found.postmaster
    return found.postmaster


def wait_until(condition: Callable[[], object], timeout_s: float = 60.0) -> None:
    """Wait for a condition; asserts that it comes true in time."""
    until = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < until, "it did not come true in time"
        time.sleep(0.02)


def start(command: Command, *words: str, port: int = 0) -> Daemon:
    """Start a daemon in the background; asserts that it was not there before."""
    told = command(*words, "up", "--detach", "--port", str(port), "--json").json
    assert told["started"], told
    process = identify(told["daemon"]["pid"])
    assert process is not None
    return Daemon(command, process, told["daemon"]["port"])


@contextlib.contextmanager
def running(command: Command, *words: str, port: int = 0) -> Iterator[Daemon]:
    """Start a daemon with `words` in front of `up`; afterwards none of its home is left."""
    try:
        yield start(command, *words, port=port)
    finally:
        command("down", "--force")


class _Insisting(httpx2.AsyncHTTPTransport):
    """Sends a request again that was not answered: the SDK would end its session for that."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send it, for a minute."""
        until = time.monotonic() + 60
        while True:
            try:
                return await super().handle_async_request(request)
            except httpx2.TransportError:
                if time.monotonic() > until:
                    raise
                await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def http_session(
    daemon: Daemon, *, insist: bool = False, **options: Any
) -> AsyncIterator[Client]:
    """Yield the SDK's client over streamable HTTP; `insist` repeats what the daemon did not answer."""
    sending = _Insisting() if insist else httpx2.AsyncHTTPTransport()
    async with httpx2.AsyncClient(
        headers=daemon.headers, timeout=60, trust_env=False, transport=sending
    ) as http:
        transport = streamable_http_client(f"{daemon.url}/mcp", http_client=http)
        async with Client(transport, **options) as client:
            yield client


def stdio_session(command: Command, *words: str, **options: Any) -> Client:
    """Return the SDK's client over `mcp serve`, with `words` in front; to be entered."""
    parameters = StdioServerParameters(
        command=str(PROGRAM), args=[*words, *STDIO], env=command.environ(), cwd=str(command.home)
    )
    return Client(parameters, **options)


async def call(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    """Return what a tool answers; asserts that it is no error."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    assert isinstance(result.structured_content, dict)
    return result.structured_content
