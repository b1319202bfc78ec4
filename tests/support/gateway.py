"""A gateway of a test's own: the real process, and providers on the loopback interface that fail as they are told."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml

from mahavishnu.ai.routes.routes import tokens_in
from mahavishnu.ai.routes.tokens import ensure_token
from mahavishnu.gateway.records import UseRecord, read_records
from tests.support.command import PROGRAM
from tests.support.daemon import wait_until

KEY = "sk-provider-0123456789"
REQUEST = {"model": "opus", "max_tokens": 9, "stream": True, "messages": []}


@dataclass
class Exchange:
    """One request to a provider, and the means to answer it."""

    profile: str
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @property
    def json(self) -> dict[str, Any]:
        """The body."""
        found: dict[str, Any] = json.loads(self.body)
        return found

    async def send(self, piece: bytes) -> None:
        """Send bytes as they are."""
        self.writer.write(piece)
        await self.writer.drain()

    async def begin(self, status: int = 200, **headers: str) -> None:
        """Send the head of a stream."""
        named = {"content-type": "text/event-stream", "transfer-encoding": "chunked"}
        named |= {name.replace("_", "-"): value for name, value in headers.items()}
        lines = "".join(f"{name}: {value}\r\n" for name, value in named.items())
        await self.send(f"HTTP/1.1 {status} X\r\n{lines}\r\n".encode())

    async def chunk(self, piece: bytes) -> None:
        """Send a piece of a stream."""
        await self.send(b"%x\r\n%b\r\n" % (len(piece), piece))

    async def end(self) -> None:
        """End a stream as it should."""
        await self.send(b"0\r\n\r\n")

    async def answer(self, status: int, body: object, **headers: str) -> None:
        """Send a whole answer."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {"content-type": "application/json", "content-length": str(len(raw))}
        named |= {name.replace("_", "-"): value for name, value in headers.items()}
        lines = "".join(f"{name}: {value}\r\n" for name, value in named.items())
        await self.send(f"HTTP/1.1 {status} X\r\n{lines}\r\n".encode() + raw)


type Behave = Callable[[Exchange], Awaitable[None]]


def event(name: str, **values: object) -> bytes:
    """Return an event of Anthropic's Messages."""
    return f"event: {name}\ndata: {json.dumps({'type': name, **values})}\n\n".encode()


START = event("message_start", message={"usage": {"input_tokens": 10, "output_tokens": 1}})
DELTA = event("content_block_delta", index=0, delta={"type": "text_delta", "text": "hello"})
END = event("message_delta", usage={"output_tokens": 5}) + event("message_stop")
GOOD = START + DELTA + END


async def streams(exchange: Exchange) -> None:
    """Stream a good answer."""
    await exchange.begin()
    for piece in (START, DELTA, END):
        await exchange.chunk(piece)
    await exchange.end()


def answers(status: int, body: object, **headers: str) -> Behave:
    """Return what sends a whole answer."""

    async def behave(exchange: Exchange) -> None:
        await exchange.answer(status, body, **headers)

    return behave


def sends(*pieces: bytes, ends: bool = True) -> Behave:
    """Return what streams pieces, and then ends in order or breaks off."""

    async def behave(exchange: Exchange) -> None:
        await exchange.begin()
        for piece in pieces:
            await exchange.chunk(piece)
        if ends:
            await exchange.end()
        else:
            exchange.writer.close()

    return behave


def error(kind: str, message: str = "") -> dict[str, object]:
    """Return an error of Anthropic's Messages."""
    return {"type": "error", "error": {"type": kind, "message": message}}


@dataclass
class Providers:
    """Providers at one address, by the first part of the path; each does as `behave` says, or streams."""

    url: str = ""
    behave: dict[str, Behave] = field(default_factory=dict)
    seen: list[Exchange] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)

    def asked(self, profile: str) -> list[Exchange]:
        """Return the requests to one."""
        return [each for each in self.seen if each.profile == profile]

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection."""
        profile = ""
        try:
            while exchange := await _read(reader, writer):
                profile = exchange.profile
                self.seen.append(exchange)
                await self.behave.get(profile, streams)(exchange)
        except (OSError, asyncio.IncompleteReadError):
            self.gone.append(profile)
        finally:
            writer.close()


async def _read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Exchange | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ")
    pairs = (line.split(": ", 1) for line in lines if line)
    headers = {name.lower(): value for name, value in pairs}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    _, profile, rest = path.split("/", 2)
    return Exchange(profile, method, f"/{rest}", headers, body, reader, writer)


@contextlib.contextmanager
def providers() -> Iterator[Providers]:
    """Serve providers in a thread."""
    found, ready, loop = Providers(), threading.Event(), asyncio.new_event_loop()

    async def serve() -> asyncio.Server:
        server = await asyncio.start_server(found, "127.0.0.1", 0, limit=2**20)
        found.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        ready.set()
        return server

    def run() -> None:
        asyncio.set_event_loop(loop)
        server = loop.run_until_complete(serve())
        loop.run_forever()
        server.close()
        for task in (tasks := asyncio.all_tasks(loop)):
            task.cancel()
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    ready.wait()
    try:
        yield found
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


@dataclass
class Gateway:
    """A gateway that runs; its clients, profiles and routes are made as tests ask for them."""

    home: Path
    providers: Providers
    process: subprocess.Popen[str]
    port: int

    @property
    def state(self) -> Path:
        """The folder of its state."""
        return self.home / "state"

    def profile(self, name: str, url: str | None = None, **more: object) -> str:
        """Make a profile, at the address of its provider."""
        url = url or f"{self.providers.url}/{name}"
        values = {"key": "env:GATEWAY_TEST_KEY", "anthropic_base_url": url} | more
        folder = self.home / "config/profiles"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(values))
        return name

    def route(self, client: str, *chain: str, pinned: bool = False) -> None:
        """Route a client, which is made where it is new."""
        ensure_token(tokens_in(self.state), client)
        path = self.state / "gateway/routes.json"
        known = json.loads(path.read_text()) if path.exists() else {}
        links = [{"profile": each, "models": "*", "directory": ""} for each in chain]
        known[client] = {"chain": links, "pinned": pinned}
        made = path.with_suffix(".new")
        made.write_text(json.dumps(known))
        made.replace(path)

    def headers(self, client: str) -> dict[str, str]:
        """Return what a client shows."""
        return {"authorization": f"Bearer {ensure_token(tokens_in(self.state), client).reveal()}"}

    def http(self, client: str) -> httpx.Client:
        """Return a client's HTTP."""
        return httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}",
            headers=self.headers(client),
            timeout=60,
            trust_env=False,
        )

    def ask(self, client: str, **more: object) -> httpx.Response:
        """Ask as a client, and return the whole answer."""
        with self.http(client) as http:
            return http.post("/anthropic/v1/messages", json=REQUEST | more)

    def record(self, client: str, count: int = 1) -> UseRecord:
        """Return the last record of a client, once there are so many."""
        found: list[UseRecord] = []

        def look() -> bool:
            rows = read_records(self.state / "gateway", limit=10_000)
            found[:] = [each for each in rows if each.client == client]
            return len(found) >= count

        wait_until(look)
        return found[-1]

    def events(self) -> list[dict[str, Any]]:
        """Return what it noted."""
        path = self.state / "events.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def stop(self) -> str:
        """End it as a supervisor does, and return what it said."""
        self.process.send_signal(signal.SIGTERM)
        said, _ = self.process.communicate(timeout=60)
        return said


@contextlib.contextmanager
def gateway(
    home: Path, found: Providers, *words: str, environ: Mapping[str, str] | None = None
) -> Iterator[Gateway]:
    """Start a gateway; `words` are further ones before `gateway`, as `--set KEY=VALUE`."""
    process = subprocess.Popen(
        [PROGRAM, *words, "gateway", "serve", "--port", "0"],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "MAHAVISHNU_HOME": str(home),
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),  # where a seeded fault is tried
            "GATEWAY_TEST_KEY": KEY,
            **{name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")},
            **(environ or {}),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert "Listening" in line, line + process.stdout.read()
        yield Gateway(home, found, process, int(line.rsplit(":", 1)[1]))
    finally:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=60)
