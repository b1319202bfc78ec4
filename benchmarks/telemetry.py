"""What telemetry costs a search: the same questions with it and without, in pairs, all that is sent included."""

import contextlib
import multiprocessing
import time
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from benchmarks.loading import load_world
from benchmarks.report import Section, most
from benchmarks.synthetic import make_questions, make_word_questions, make_world
from benchmarks.world import MODEL, open_with_table
from mahavishnu.app import App
from mahavishnu.base.telemetry.recording import TracerRecorder
from mahavishnu.base.telemetry.spans import collect_with, span
from mahavishnu.daemon.free_memory import keep_what_is_there
from mahavishnu.memory.models import BroughtVector
from mahavishnu.memory.search import SearchRequest

MEMORIES = 20_000
ROUNDS = 8  # each opens both applications anew: of two equal ones, one can be 2 % slower as long as it lasts
PAIRS = 3  # of a round
TOGETHER = 80  # searches of a block, whose spans are sent within it: about a batch of the SDK
OFF_CALLS = 200_000
GOAL = 1.03


async def measure_telemetry(home: Path) -> Section:
    """Compare two applications over one database, in turns."""
    started = time.monotonic()
    section = Section(f"Search of {MEMORIES:,} memories, with traces sent and without")
    world = make_world(MEMORIES)
    everyone = np.arange(MEMORIES)
    count = ROUNDS * PAIRS * TOGETHER
    vectors = make_questions(world, count, among=everyone, seed=701)
    words = make_word_questions(world, count, "middling", seed=702)
    asked = [
        SearchRequest(
            query=text, vector=BroughtVector(model=MODEL.name, values=vector.astype(float).tolist())
        )
        for text, vector in zip(words, vectors, strict=True)
    ]
    async with open_with_table(home, {}) as app:
        await load_world(app, world)
    keep_what_is_there()  # as the daemon does
    with _Receiver() as port:
        provider = TracerProvider(resource=Resource({"service.name": "bench"}))
        sent = OTLPSpanExporter(f"http://127.0.0.1:{port}/v1/traces")
        provider.add_span_processor(BatchSpanProcessor(sent))
        recorder = TracerRecorder(provider)
        block = PAIRS * TOGETHER
        pairs = [
            pair
            for number in range(ROUNDS)
            for pair in await _compare(
                home, asked[number * block : (number + 1) * block], recorder, provider, number % 2
            )
        ]
        collect_with(None)
        provider.shutdown()
    off, on = np.array(pairs).transpose(1, 2, 0)
    ms, ratios = np.median([off, on], axis=2) * 1000, np.median(on / off, axis=1)
    section.add("off", ms=float(ms[0, 0]), processor__ms=float(ms[0, 1]))
    section.add(
        "on", most("ratio", GOAL), most("processor ratio", GOAL), ms=float(ms[1, 0]),
        processor__ms=float(ms[1, 1]), ratio=float(ratios[0]), processor__ratio=float(ratios[1]),
    )  # fmt: skip
    began = time.perf_counter()
    for _ in range(OFF_CALLS):
        with span("search", {"n": 1}) as seen:
            seen.set({"hits": 1})
    section.add("a span that is off", us=(time.perf_counter() - began) / OFF_CALLS * 1e6)
    section.notes.append(
        f"{ROUNDS} rounds of {PAIRS} pairs of {TOGETHER} searches in both arms, the vector given, one at a time, "
        "below a span as a request has one; who is first changes. What was recorded is sent to another process "
        "within the block that recorded it. Ratio: the median of the pairs' own ratios. Processor: of this "
        "process, the sending too, and of its server process."
    )
    section.seconds = time.monotonic() - started
    return section


async def _compare(
    home: Path,
    asked: Sequence[SearchRequest],
    recorder: TracerRecorder,
    provider: TracerProvider,
    first: int,
) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """Return the seconds of a search, and those of processors, of pairs: without traces and with them."""

    async def run(app: App, traced: bool, block: Sequence[SearchRequest]) -> tuple[float, float]:
        collect_with(recorder if traced else None)
        began, worked = time.perf_counter(), _processor_s(app)
        for each in block:
            with span("POST /api/v1/search", kind="server"):
                await app.search(each)
        provider.force_flush()
        took = time.perf_counter() - began, _processor_s(app) - worked
        return took[0] / len(block), took[1] / len(block)

    async with contextlib.AsyncExitStack() as opened:
        apps = {}
        for traced in (bool(first), not first):
            collect_with(recorder if traced else None)  # its connection is made now
            apps[traced] = await opened.enter_async_context(open_with_table(home, {}, pool_size=1))
            await run(apps[traced], traced, asked[:100])
        pairs = []
        for number in range(PAIRS):
            block = asked[number * TOGETHER : (number + 1) * TOGETHER]
            order = (False, True) if number % 2 else (True, False)
            took = {traced: await run(apps[traced], traced, block) for traced in order}
            pairs.append((took[False], took[True]))
    return pairs


def _processor_s(app: App) -> float:
    """Return what this process and the server's of an application have worked."""
    servers = [psutil.Process(pid).cpu_times() for pid in app.database.pids]
    return time.process_time() + sum(each.user + each.system for each in servers)


class _Receiver:
    """A collector in a process of its own, which reads and drops."""

    def __enter__(self) -> int:
        context = multiprocessing.get_context("spawn")
        ports: Any = context.Queue()
        self._process = context.Process(target=_receive, args=(ports,), daemon=True)
        self._process.start()
        port: int = ports.get(timeout=60)
        return port

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.join()


def _receive(ports: Any) -> None:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        ports.put(server.server_address[1])
        server.serve_forever()
