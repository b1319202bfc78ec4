"""Search through every interface of the daemon, given the same vector; load; memory at rest."""

import asyncio
import base64
import contextlib
import http.client
import json
import multiprocessing
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any, Self

import httpx
import httpx2
import numpy as np
import psutil
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

from benchmarks.report import Section, least, most
from benchmarks.synthetic import nearest
from benchmarks.world import MODEL, connect_as_superuser, environment, open_product
from mahavishnu.base.daemon.record import find_listening
from mahavishnu.base.daemon.token import read_token
from mahavishnu.base.paths import locate
from mahavishnu.memory.models import BroughtVector
from mahavishnu.memory.search import SearchRequest
from mahavishnu.operations.memory import search
from mahavishnu.operations.operation import Call
from mahavishnu.operations.requests import Search

PRODUCT = (sys.executable, "-m", "mahavishnu")
LIMIT = 10
PROCESSES = 10
EACH = 100
STDIO_CLIENTS = 10
MORE_MS = 5.0
IDLE_MB = 150.0
STDIO_MB = 60.0
PATIENCE_S = 180.0
ERA = "2026-07-28"


@dataclass(frozen=True)
class Daemon:
    """A running daemon: where it is, its token, its process, and the environment it was started in."""

    url: str
    token: str
    pid: int
    environ: dict[str, str]

    @property
    def headers(self) -> dict[str, str]:
        """What each request has to carry."""
        return {"Authorization": f"Bearer {self.token}"}


@contextlib.contextmanager
def running_daemon(home: Path, **more: str) -> Any:
    """Start the installed daemon in `home` on any free port, and end it."""
    environ = environment(home, MAHAVISHNU_PORT="0", **more)
    subprocess.run([*PRODUCT, "up", "--detach"], env=environ, check=True, capture_output=True)
    locations = locate(environ)
    record = find_listening(locations.daemon_lock)
    assert record is not None
    try:
        yield Daemon(record.url, read_token(locations.token), record.pid, environ)
    finally:
        subprocess.run([*PRODUCT, "down"], env=environ, check=True, capture_output=True)


def measure_serving(
    home: Path, texts: Sequence[str], vectors: np.ndarray, questions: np.ndarray, *, calls: int
) -> list[Section]:
    """Measure on the database in `home`, which must hold `texts` with `vectors`."""
    with running_daemon(home, MAHAVISHNU_EMBEDDING_PROVIDER="none") as daemon:
        idle = _measure_idle(daemon)
        interfaces = asyncio.run(_measure_interfaces(home, daemon, questions, calls=calls))
        load = _measure_load(daemon, texts, vectors, questions)
        clients = asyncio.run(_measure_stdio_clients(home, daemon))
    rest = Section("The daemon at rest, and its stdio clients")
    rest.rows += [*idle.rows, *clients.rows]
    rest.notes += [*idle.notes, *clients.notes]
    return [interfaces, load, rest]


def _measure_idle(daemon: Daemon) -> Section:
    section = Section("")
    memory_mb = psutil.Process(daemon.pid).memory_info().rss / 1e6
    section.add("daemon, no model loaded", most("MB", IDLE_MB), MB=memory_mb)
    return section


async def _measure_interfaces(
    home: Path, daemon: Daemon, questions: np.ndarray, *, calls: int
) -> Section:
    """Time one search after the other, through each interface in turns."""
    started = time.monotonic()
    section = Section(f"Search of top {LIMIT} through each interface, the same vector given")
    asked = [Question.of(number, vector) for number, vector in enumerate(questions[:calls])]
    async with contextlib.AsyncExitStack() as stack:
        ways = await _open_ways(stack, home, daemon)
        times: dict[str, list[float]] = {name: [] for name in ways}
        for ask in ways.values():
            for each in asked[:20]:
                await ask(each)
        turns = [*ways.items()]
        for each in asked:
            turns.append(turns.pop(0))  # who comes after whom should not count
            for name, ask in turns:
                began = time.perf_counter()
                hits = await ask(each)
                times[name].append(time.perf_counter() - began)
                if len(hits) != LIMIT:
                    raise RuntimeError(f"{name}: {len(hits)} hits")
    base = float(np.median(times["in-process"]))
    for name, taken in times.items():
        median, p95 = np.percentile(taken, [50, 95])
        ours = not name.startswith("in-process") and "SDK" not in name
        goals = [most("more ms", MORE_MS)] if ours else []
        section.add(
            name, *goals, p50__ms=median * 1000, p95__ms=p95 * 1000, more__ms=(median - base) * 1000
        )
    section.notes.append(
        f"{len(asked):,} questions, each asked through all interfaces in turns by one client; "
        "reading and writing JSON counts, by Python's own HTTP client. In-process: open_app and its "
        "search, without JSON. The SDK's client checks each answer against its schema besides."
    )
    section.seconds = time.monotonic() - started
    return section


@dataclass(frozen=True)
class Question:
    """A question by its vector, and the arguments that ask it: vector in base64, or in JSON numbers."""

    vector: list[float]
    packed: dict[str, Any]
    numbers: dict[str, Any]

    @classmethod
    def of(cls, number: int, vector: np.ndarray) -> Self:
        """Write the question down in both forms."""
        return cls(
            vector.astype(float).tolist(),
            _arguments(number, vector),
            _arguments(number, vector, in_numbers=True),
        )


type Ask = Callable[[Question], Awaitable[Sequence[Any]]]


async def _open_ways(
    stack: contextlib.AsyncExitStack, home: Path, daemon: Daemon
) -> dict[str, Ask]:
    app = await stack.enter_async_context(
        open_product(home, pool_size=1, MAHAVISHNU_EMBEDDING_PROVIDER="none")
    )
    plain = stack.enter_context(contextlib.closing(_Plain(daemon)))
    bearer = await stack.enter_async_context(httpx2.AsyncClient(headers=daemon.headers))
    over_http = await stack.enter_async_context(
        Client(streamable_http_client(f"{daemon.url}/mcp", http_client=bearer))
    )
    server = StdioServerParameters(
        command=PRODUCT[0], args=[*PRODUCT[1:], "mcp", "serve"], env=daemon.environ
    )
    over_stdio = await stack.enter_async_context(Client(stdio_client(server)))
    bridge = await stack.enter_async_context(_bridge(daemon))

    async def in_process(question: Question) -> Sequence[Any]:
        request = SearchRequest(
            query=question.packed["query"],
            limit=LIMIT,
            mode="vector",
            vector=BroughtVector(model=MODEL.name, values=question.vector),
        )
        return (await app.search(request)).hits

    async def operation(question: Question) -> Sequence[Any]:
        return (await search(Call(app, "bench"), Search(**question.packed))).hits

    async def api(arguments: dict[str, Any]) -> Sequence[Any]:
        return list(json.loads(plain.post("/api/v1/search", arguments))["hits"])

    def tool(client: Client) -> Ask:
        async def ask(question: Question) -> Sequence[Any]:
            result = await client.call_tool("search", question.packed)
            assert result.structured_content is not None and not result.is_error, result
            return list(result.structured_content["hits"])

        return ask

    async def over_stdio_bridge(question: Question) -> Sequence[Any]:
        assert bridge.stdin is not None and bridge.stdout is not None
        bridge.stdin.write(json.dumps(_message(question.packed)).encode() + b"\n")
        answer = json.loads(await bridge.stdout.readline())
        return list(answer["result"]["structuredContent"]["hits"])

    async def over_mcp(arguments: dict[str, Any], *, events: bool = False) -> Sequence[Any]:
        message = _message(arguments, enveloped=not events)
        return list(_hits_of(plain.post("/mcp", message, _tool_headers(events=events))))

    return {
        "in-process": in_process,
        "in-process, with the answer fitted to its budget": operation,
        "/api/v1": lambda question: api(question.packed),
        "/api/v1, vector as JSON numbers": lambda question: api(question.numbers),
        "MCP over HTTP": lambda question: over_mcp(question.packed),
        "MCP over HTTP, 2025 with an event stream": lambda question: over_mcp(
            question.packed, events=True
        ),
        "MCP over HTTP, vector as JSON numbers": lambda question: over_mcp(question.numbers),
        "MCP over stdio": over_stdio_bridge,
        "MCP over HTTP by the SDK's client": tool(over_http),
        "MCP over stdio by the SDK's client": tool(over_stdio),
    }


class _Plain:
    """Python's own HTTP client on one connection: what it takes itself is little, and waits for one."""

    def __init__(self, daemon: Daemon) -> None:
        self._connection = http.client.HTTPConnection(
            "127.0.0.1", int(daemon.url.rpartition(":")[2])
        )
        self._headers = daemon.headers | {"Content-Type": "application/json"}

    def post(self, path: str, body: dict[str, Any], headers: dict[str, str] | None = None) -> str:
        """Return the body of the answer."""
        whole = self._headers | (headers or {})
        self._connection.request("POST", path, json.dumps(body).encode(), whole)
        answer = self._connection.getresponse()
        text = answer.read().decode()
        if answer.status != 200:
            raise RuntimeError(f"{path}: {answer.status} {text}")
        return text

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


@contextlib.asynccontextmanager
async def _bridge(daemon: Daemon) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the stdio server with its pipes in our hands."""
    process = await asyncio.create_subprocess_exec(
        *PRODUCT, "mcp", "serve", env=daemon.environ, limit=1 << 24,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


def _arguments(number: int, vector: np.ndarray, *, in_numbers: bool = False) -> dict[str, Any]:
    """Return a question with its vector as base64, or as JSON numbers, which take longer to read."""
    floats = vector.astype("<f4")
    return {
        "query": f"question {number}",
        "mode": "vector",
        "limit": LIMIT,
        "embedding": [round(value, 6) for value in floats.astype(float).tolist()]
        if in_numbers
        else base64.b64encode(floats.tobytes()).decode(),
        "embedding_model": MODEL.name,
    }


def _measure_load(
    daemon: Daemon, texts: Sequence[str], vectors: np.ndarray, questions: np.ndarray
) -> Section:
    """Let every process send its share at once, and check every row that comes back."""
    started = time.monotonic()
    section = Section(f"{PROCESSES * EACH:,} requests outstanding from {PROCESSES} processes")
    for name in ("/api/v1", "MCP over HTTP"):
        context = multiprocessing.get_context("spawn")
        barrier = context.Barrier(PROCESSES)
        results: Any = context.Queue()
        processes = [
            context.Process(
                target=_work,
                args=(daemon, name, questions[at * EACH : (at + 1) * EACH], barrier, results),
                daemon=True,
            )
            for at in range(PROCESSES)
        ]
        for process in processes:
            process.start()
        with _watched(daemon) as peak:
            outcomes = [results.get(timeout=PATIENCE_S) for _ in processes]
        for process in processes:
            process.join()
        places = {text: place for place, text in enumerate(texts)}
        answers = [answer for outcome in outcomes for answer in outcome["answers"]]
        failed = [answer for answer in answers if isinstance(answer["hits"], str)]
        wrong = [
            line
            for answer in answers
            if not isinstance(answer["hits"], str)
            for line in _check(answer, places, vectors)
        ]
        section.notes += [answer["hits"] for answer in failed[:2]] + wrong[:2]
        taken = max(outcome["seconds"] for outcome in outcomes)
        section.add(
            name, most("failed", 0), most("wrong", 0), least("recall", 0.97),
            s=taken, per__s=len(answers) / taken, answers=len(answers), at__once=max(peak),
            failed=len(failed), wrong=len(wrong), recall=_recall(answers, places, vectors),
        )  # fmt: skip
    section.notes.append(
        "Every answer: ten different memories, best first, each similarity that of the stored vector; "
        "recall against exact comparison. At once: the most that the daemon had, looked at each 20 ms."
    )
    section.seconds = time.monotonic() - started
    return section


@contextlib.contextmanager
def _watched(daemon: Daemon) -> Iterator[list[int]]:
    """Look at the daemon's own number of requests while the block lasts; yields what was seen."""
    seen = [0]
    ended = threading.Event()

    def look() -> None:
        with httpx.Client(headers=daemon.headers) as client:
            while not ended.wait(0.02):
                text = client.get(f"{daemon.url}/metrics", timeout=PATIENCE_S).text
                [line] = [
                    x for x in text.splitlines() if x.startswith("mahavishnu_active_requests ")
                ]
                seen.append(int(float(line.split()[1])))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()


def _recall(answers: Sequence[Any], places: dict[str, int], vectors: np.ndarray) -> float:
    done = [answer for answer in answers if not isinstance(answer["hits"], str)]
    exact = nearest(vectors, np.array([answer["question"] for answer in done]), LIMIT)
    found = [{places[hit["content"]] for hit in answer["hits"]} for answer in done]
    return float(
        np.mean([len(a & set(b.tolist())) / LIMIT for a, b in zip(found, exact, strict=True)])
    )


def _work(daemon: Daemon, name: str, questions: np.ndarray, barrier: Barrier, results: Any) -> None:
    results.put(asyncio.run(_ask_all(daemon, name, questions, barrier)))


async def _ask_all(
    daemon: Daemon, name: str, questions: np.ndarray, barrier: Barrier
) -> dict[str, Any]:
    limits = httpx.Limits(max_connections=EACH, max_keepalive_connections=EACH)
    async with httpx.AsyncClient(
        headers=daemon.headers, limits=limits, timeout=PATIENCE_S
    ) as client:

        async def ask(number: int, question: np.ndarray) -> dict[str, Any]:
            arguments = _arguments(number, question)
            try:
                if name == "/api/v1":
                    answer = await client.post(f"{daemon.url}/api/v1/search", json=arguments)
                    hits = answer.raise_for_status().json()["hits"]
                else:
                    hits = await _call_tool(client, daemon.url, arguments)
            except (httpx.HTTPError, KeyError, ValueError) as error:
                hits = f"{type(error).__name__}: {error}"
            return {"question": question, "hits": hits}

        await ask(0, questions[0])
        await asyncio.to_thread(barrier.wait, PATIENCE_S)
        began = time.monotonic()
        answers = await asyncio.gather(*(ask(n, q) for n, q in enumerate(questions)))
        return {"answers": answers, "seconds": time.monotonic() - began}


async def _call_tool(client: httpx.AsyncClient, url: str, arguments: dict[str, Any]) -> Any:
    answer = await client.post(
        f"{url}/mcp", json=_message(arguments), headers=_tool_headers(events=False)
    )
    return _hits_of(answer.raise_for_status().text)


def _tool_headers(*, events: bool) -> dict[str, str]:
    accept = {"accept": "application/json, text/event-stream"}
    if events:
        return accept | {"mcp-protocol-version": "2025-11-25"}
    return accept | {"mcp-protocol-version": ERA, "mcp-method": "tools/call", "mcp-name": "search"}


def _hits_of(text: str) -> Any:
    """Return the hits of an answer; one that is long in coming is an event stream in any version."""
    if not text.startswith("{"):
        text = [line[5:] for line in text.splitlines() if line.startswith("data:")][-1]
    return json.loads(text)["result"]["structuredContent"]["hits"]


def _message(arguments: dict[str, Any], *, enveloped: bool = True) -> dict[str, Any]:
    meta = {
        "io.modelcontextprotocol/protocolVersion": ERA,
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    params = {"name": "search", "arguments": arguments}
    params |= {"_meta": meta} if enveloped else {}
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}


def _check(answer: dict[str, Any], places: dict[str, int], vectors: np.ndarray) -> list[str]:
    found = [places[hit["content"]] for hit in answer["hits"]]
    scores = [hit["arms"]["vector"]["score"] for hit in answer["hits"]]
    true = vectors[found].astype(np.float32) @ answer["question"].astype(np.float32)
    wrong = []
    if len(set(found)) != LIMIT or scores != sorted(scores, reverse=True):
        wrong.append(f"{len(set(found))} memories, or not in order")
    if not np.allclose(true, scores, atol=2e-3):
        wrong.append("similarities differ from those of the vectors")
    return wrong


async def _measure_stdio_clients(home: Path, daemon: Daemon) -> Section:
    """Connect ten clients, let each search once, and count what they hold."""
    section = Section("")
    async with contextlib.AsyncExitStack() as stack:
        app = await stack.enter_async_context(
            open_product(home, pool_size=1, MAHAVISHNU_EMBEDDING_PROVIDER="none")
        )
        watcher = await connect_as_superuser(app.database)
        stack.push_async_callback(watcher.close)
        before = await _connections(watcher)
        known = {each.pid for each in psutil.Process().children(recursive=True)}
        for _ in range(STDIO_CLIENTS):
            await stack.enter_async_context(_stdio_client(daemon))
        after = await _connections(watcher)
        bridges = [
            each
            for each in psutil.Process().children(recursive=True)
            if each.pid not in known and "serve" in each.cmdline()
        ]
        sizes = [each.memory_info().rss / 1e6 for each in bridges]
        section.add(
            f"{len(sizes)} stdio clients", most("MB", STDIO_MB), most("connections", 0),
            MB=max(sizes), connections=after - before,
        )  # fmt: skip
    alone = replace(
        daemon, environ=environment(home / "alone", MAHAVISHNU_EMBEDDING_PROVIDER="none")
    )
    async with _bridge(alone) as process:
        assert process.stdin is not None and process.stdout is not None
        asked = {"query": "anything"}
        process.stdin.write(json.dumps(_message(asked)).encode() + b"\n")
        json.loads(await process.stdout.readline())
        memory_mb = psutil.Process(process.pid).memory_info().rss / 1e6
        section.add("a stdio client's server without a daemon", MB=memory_mb)
    section.notes.append(
        "MB: resident, of the largest; connections: how many more the database has with the clients "
        "than without them, each having searched."
    )
    return section


@contextlib.asynccontextmanager
async def _stdio_client(daemon: Daemon) -> AsyncIterator[Client]:
    server = StdioServerParameters(
        command=PRODUCT[0], args=[*PRODUCT[1:], "mcp", "serve"], env=daemon.environ
    )
    async with Client(stdio_client(server)) as client:
        await client.call_tool("search", {"query": "anything"})
        yield client


async def _connections(watcher: Any) -> int:
    count: int = await watcher.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'mahavishnu'"
    )
    return count
