"""What the gateway adds to a streamed answer, beside its provider asked directly and LiteLLM's proxy; 200 streams."""

import asyncio
import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

import aiohttp
import psutil
import yaml

from benchmarks.commands import PRODUCT
from benchmarks.litellm_proxy import KEY, VERSION, NotInstalled, install, litellm_proxy
from benchmarks.report import Section, least, most
from benchmarks.world import environment
from mahavishnu.ai.routes.routes import routes_in, tokens_in
from mahavishnu.ai.routes.tokens import ensure_token
from mahavishnu.base.paths import locate

ROUNDS = 200
WARM = 20
EVENTS = 40
STREAMS = 200
WAVES = 5
SWITCHES = 60
MB = 2**20
BODY = json.dumps(
    {"model": "m", "max_tokens": 99, "stream": True, "messages": [{"role": "user", "content": "x" * 48_000}]}
).encode()  # fmt: skip
LITELLM = f"LiteLLM {VERSION}"


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way to the provider; `process` is the gateway or proxy on it."""

    url: str
    token: str
    process: psutil.Process | None = None

    def processor_s(self) -> float:
        """Return the seconds of processor that its gateway or proxy has taken."""
        return sum(self.process.cpu_times()[:2]) if self.process else 0.0

    def size(self) -> int:
        """Return the bytes of memory that its gateway or proxy has."""
        if self.process is None:
            return 0
        family = [self.process, *self.process.children(recursive=True)]
        return sum(each.memory_info().rss for each in family)


@dataclass(frozen=True)
class Sample:
    """The milliseconds to the first text, and those of an event, the median; by whom it was answered."""

    first: float
    event: float
    model: str


def _event(name: str, **values: object) -> bytes:
    return f"event: {name}\ndata: {json.dumps({'type': name, **values})}\n\n".encode()


def _delta() -> bytes:
    """Return an event with the time at which it is sent."""
    text = f"{time.perf_counter():.6f} "
    return _event("content_block_delta", index=0, delta={"type": "text_delta", "text": text})


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer requests of a connection with streams."""
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            lines = head.decode("latin-1").lower().split("\r\n")
            length = next(line for line in lines if line.startswith("content-length:"))
            await reader.readexactly(int(length.split(":")[1]))
            usage = {"input_tokens": 9, "output_tokens": 1}
            model, whole = lines[0].split("/")[1], {"stop_reason": None, "stop_sequence": None}
            message = {"id": "msg_1", "type": "message", "role": "assistant", "model": model}
            writer.write(
                b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
            )
            block = {"type": "text", "text": ""}
            begin = _event(
                "message_start", message=message | whole | {"content": [], "usage": usage}
            )
            begin += _event("content_block_start", index=0, content_block=block)
            await _send(writer, begin + _delta())
            for _ in range(EVENTS - 1):
                await asyncio.sleep(0.001)
                await _send(writer, _delta())
            end = {"stop_reason": "end_turn", "stop_sequence": None}
            await _send(
                writer,
                _event("content_block_stop", index=0)
                + _event("message_delta", delta=end, usage={"output_tokens": EVENTS})
                + _event("message_stop"),
            )
            writer.write(b"0\r\n\r\n")
    except (OSError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def _send(writer: asyncio.StreamWriter, piece: bytes) -> None:
    writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
    await writer.drain()


async def measure_gateway(home: Path) -> Section:
    """Measure one gateway and one proxy of LiteLLM's; the provider and the client are this process."""
    began = time.monotonic()
    section = Section("The gateway beside its provider")
    server = await asyncio.start_server(_serve, "127.0.0.1", 0, limit=2**20)
    direct = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    environ = environment(home, BENCH_KEY="sk-bench")
    state = locate(environ).state
    _configure(locate(environ).config, state, direct)
    token = ensure_token(tokens_in(state), "bench").reveal()
    with ExitStack() as running:
        process, port = running.enter_context(_running(environ))
        ways = {
            "direct": Way(url=f"{direct}/a", token="x"),
            "gateway": Way(url=f"http://127.0.0.1:{port}/anthropic", token=token, process=process),
        }
        try:
            program = await asyncio.to_thread(install, home / "litellm")
            started = litellm_proxy(program, home / "litellm-home", f"{direct}/a")
            peer, url = await asyncio.to_thread(running.enter_context, started)
            ways[LITELLM] = Way(url=url, token=KEY, process=peer)
        except NotInstalled as error:
            section.notes.append(f"LiteLLM's proxy could not be installed: {error}")
        connector = aiohttp.TCPConnector(limit=STREAMS)
        async with aiohttp.ClientSession(connector=connector, trust_env=False) as session:
            await _measure_one_at_a_time(section, session, ways)
            for name in [each for each in ways if each != "direct"]:
                await _measure_many(section, session, name, ways[name])
            await _measure_switches(section, session, ways["gateway"], state)
    server.close()
    section.notes.append(
        f"{ROUNDS} rounds of requests of {len(BODY):,} bytes, one at a time, each answered by {EVENTS} events a "
        "millisecond apart; who is first changes with each round. First: to the first text. Event: from the "
        "provider's write of an event to the client's read of it, the median of a request. Added: the median of the "
        "differences of a round. Processor: of the gateway or proxy, for a request; others' work hardly changes it. "
        f"Peak: beyond what it had before the first of {WAVES} waves of {STREAMS} streams, grown: from the end of the "
        "second to that of the last."
    )
    section.seconds = time.monotonic() - began
    return section


async def _measure_one_at_a_time(
    section: Section, session: aiohttp.ClientSession, ways: dict[str, Way]
) -> None:
    found: dict[str, list[Sample]] = {name: [] for name in ways}
    names, taken = list(ways), dict.fromkeys(ways, 0.0)
    for number in range(ROUNDS + WARM):
        if number == WARM:
            taken = {name: way.processor_s() for name, way in ways.items()}
        for name in names[number % len(names) :] + names[: number % len(names)]:
            sample = await _ask(session, ways[name])
            if number >= WARM:
                found[name].append(sample)
    added: dict[str, float] = {}
    for name, samples in found.items():
        plain = zip(samples, found["direct"], strict=True)
        added[name] = median(each.first - other.first for each, other in plain)
        firsts = [each.first for each in samples]
        figures = {
            "first__ms": median(firsts),
            "first__p95__ms": quantiles(firsts, n=20)[-1],
            "event__ms": median(each.event for each in samples),
        }
        if way := ways[name].process and ways[name]:
            figures["added__ms"] = added[name]
            figures["processor__ms"] = (way.processor_s() - taken[name]) / ROUNDS * 1e3
        goals = [most("added ms", 2.0)] if name == "gateway" else []
        section.add(name, *goals, **figures)
    if LITELLM in added:
        section.add(
            "LiteLLM's added by the gateway's", least("times", 20.0), times=added[LITELLM] / added["gateway"]
        )  # fmt: skip


async def _measure_many(
    section: Section, session: aiohttp.ClientSession, name: str, way: Way
) -> None:
    """Ask for many streams at once, several times."""
    before, most_ = way.size(), 0
    sizes, whole = [], 0
    for _ in range(WAVES):
        asks = [asyncio.create_task(_ask(session, way)) for _ in range(STREAMS)]
        while not all(each.done() for each in asks):
            await asyncio.wait(asks, timeout=0.1)
            most_ = max(most_, way.size())
        whole += sum(each.exception() is None for each in asks)
        sizes.append(way.size())
    goals = []
    if name == "gateway":
        goals = [least("whole", STREAMS * WAVES), most("peak MB", 100), most("grown MB", 10)]
    section.add(
        f"{name}: {WAVES} times {STREAMS} streams", *goals, whole=whole, had__MB=before / MB,
        peak__MB=(most_ - before) / MB, grown__MB=(sizes[-1] - sizes[1]) / MB,
    )  # fmt: skip


async def _measure_switches(
    section: Section, session: aiohttp.ClientSession, way: Way, state: Path
) -> None:
    took = []
    for number in range(SWITCHES):
        name, began = "ba"[number % 2], time.perf_counter()
        _route(state, name)
        written = time.perf_counter()
        sample = await _ask(session, way)
        took.append((written - began) * 1e3 + sample.first)
        assert sample.model == name, "the old provider answered"
    section.add(
        "route changed to first text", most("first p95 ms", 50.0),
        first__ms=median(took), first__p95__ms=quantiles(took, n=20)[-1],
    )  # fmt: skip


async def _ask(session: aiohttp.ClientSession, way: Way) -> Sample:
    """Ask once; raises where the answer is not whole."""
    began, first, late, model = time.perf_counter(), 0.0, [], ""
    headers = {
        "authorization": f"Bearer {way.token}",
        "content-type": "application/json",
        "anthropic-version": "2023-06-01",
    }
    last = ""
    async with session.post(f"{way.url}/v1/messages", data=BODY, headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        async for line in answer.content:
            now = time.perf_counter()
            if not line.startswith(b"data: "):
                continue
            event = json.loads(line[6:])
            last = event["type"]
            if last == "message_start":
                model = event["message"]["model"]
            elif last == "content_block_delta":
                first = first or now - began
                late.append(now - float(event["delta"]["text"]))
    assert last == "message_stop" and len(late) == EVENTS, "the answer is not whole"
    return Sample(first * 1e3, median(late) * 1e3, model)


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
