"""What the gateway adds to a streamed answer, beside the provider asked directly; and 200 streams at once."""

import asyncio
import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles

import aiohttp
import psutil
import yaml

from benchmarks.commands import PRODUCT
from benchmarks.report import Section, most
from benchmarks.world import environment
from mahavishnu.ai.routes.routes import routes_in, tokens_in
from mahavishnu.ai.routes.tokens import ensure_token
from mahavishnu.base.paths import locate

PAIRS = 300
EVENTS = 40
STREAMS = 200
SWITCHES = 40
EVENT = b'event: content_block_delta\ndata: {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hello"}}\n\n'  # noqa: E501
BODY = json.dumps(
    {"model": "m", "stream": True, "messages": [{"role": "user", "content": "x" * 48_000}]}
).encode()


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer requests of a connection with a stream; each event has the time at which it was sent."""
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            lines = head.decode("latin-1").lower().split("\r\n")
            length = next(line for line in lines if line.startswith("content-length:"))
            await reader.readexactly(int(length.split(":")[1]))
            writer.write(
                b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
            )
            for _ in range(EVENTS):
                await _send(writer, b": %.6f\n" % time.perf_counter() + EVENT)
                await asyncio.sleep(0.001)
            await _send(writer, b'data: {"type": "message_stop"}\n\n')
            writer.write(b"0\r\n\r\n")
    except (OSError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def _send(writer: asyncio.StreamWriter, piece: bytes) -> None:
    writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
    await writer.drain()


async def measure_gateway(home: Path) -> Section:
    """Measure one gateway, one provider in this process."""
    began = time.monotonic()
    section = Section("The gateway beside its provider")
    server = await asyncio.start_server(_serve, "127.0.0.1", 0, limit=2**20)
    direct = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    environ = environment(home, BENCH_KEY="sk-bench")
    state = locate(environ).state
    _configure(locate(environ).config, state, direct)
    token = ensure_token(tokens_in(state), "bench").reveal()
    with _running(environ) as (process, port):
        ways = {
            "direct": (f"{direct}/a", "x"),
            "gateway": (f"http://127.0.0.1:{port}/anthropic", token),
        }
        connector = aiohttp.TCPConnector(limit=STREAMS)
        async with aiohttp.ClientSession(connector=connector, trust_env=False) as session:
            found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
            for number in range(PAIRS + 20):
                for name in sorted(ways, reverse=bool(number % 2)):
                    sample = await _ask(session, *ways[name])
                    if number >= 20:
                        found[name].append(sample)
            for name, samples in found.items():
                section.add(name, **_figures(samples))
            added = [
                (through[0] - plain[0], through[1] - plain[1])
                for plain, through in zip(found["direct"], found["gateway"], strict=True)
            ]
            section.add("added, of each pair", most("first ms", 2.0), **_figures(added))
            before = process.memory_info().rss
            whole = await asyncio.gather(*(_ask(session, *ways["gateway"]) for _ in range(STREAMS)))
            section.add(
                f"{STREAMS} streams at once",
                whole=float(len(whole)),
                more__MB=(process.memory_info().rss - before) / 2**20,
            )
            switched = []
            for number in range(SWITCHES):
                asked_at = time.perf_counter()
                _route(state, "ab"[number % 2])
                await _ask(session, *ways["gateway"], only_first=True)
                switched.append((time.perf_counter() - asked_at) * 1e3)
            section.add(
                "route changed to first byte", most("p50 ms", 50.0), p50__ms=median(switched)
            )
    server.close()
    section.notes.append(
        f"{PAIRS} pairs of requests of {len(BODY):,} bytes, one at a time, each answered by {EVENTS} events a "
        "millisecond apart; of each pair who is first changes. Event: from the provider's write of an event to the "
        "client's read of it, the median of a request. Provider and client are one process."
    )
    section.seconds = time.monotonic() - began
    return section


def _figures(samples: list[tuple[float, float]]) -> dict[str, float]:
    first, events = [each[0] for each in samples], [each[1] for each in samples]
    return {
        "first__ms": median(first),
        "first__p95__ms": quantiles(first, n=20)[-1],
        "event__ms": median(events),
    }


async def _ask(
    session: aiohttp.ClientSession, url: str, token: str, *, only_first: bool = False
) -> tuple[float, float]:
    """Return the milliseconds to the first byte, and the median of those that an event took."""
    began, first, late = time.perf_counter(), 0.0, []
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    async with session.post(f"{url}/v1/messages", data=BODY, headers=headers) as answer:
        assert answer.status == 200
        async for line in answer.content:
            now = time.perf_counter()
            first = first or now - began
            if only_first:
                break
            if line.startswith(b": "):
                late.append(now - float(line[2:]))
    return first * 1e3, median(late) * 1e3 if late else 0.0


def _configure(config: Path, state: Path, direct: str) -> None:
    folder = config / "profiles"
    folder.mkdir(parents=True)
    for name in "ab":
        values = {"key": "env:BENCH_KEY", "anthropic_base_url": f"{direct}/{name}"}
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(values))
    _route(state, "a")


def _route(state: Path, name: str) -> None:
    path = routes_in(state)
    path.parent.mkdir(parents=True, exist_ok=True)
    link = {"profile": name, "models": "*", "directory": ""}
    made = path.with_suffix(".new")
    made.write_text(json.dumps({"bench": {"chain": [link], "pinned": False}}))
    made.replace(path)


@contextmanager
def _running(environ: dict[str, str]) -> Iterator[tuple[psutil.Process, int]]:
    with subprocess.Popen(
        [*PRODUCT, "gateway", "serve", "--port", "0"],
        env=environ,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        try:
            yield psutil.Process(process.pid), int(line.rsplit(":", 1)[1])
        finally:
            process.terminate()
