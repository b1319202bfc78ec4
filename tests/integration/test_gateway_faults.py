"""What providers and clients do to the gateway that no protocol foresees: bytes that are no answer, and very many."""

import gzip
import json
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from mahavishnu.gateway.breaker import read_breakers
from mahavishnu.gateway.places import breakers_in
from tests.support.gateway import (
    DELTA,
    END,
    GOOD,
    REQUEST,
    START,
    Behave,
    Exchange,
    Gateway,
    Providers,
    answers,
    gateway,
    providers,
    sends,
)

MB = 2**20
STREAM = b"HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\n"


@pytest.fixture(scope="module")
def found() -> Iterator[Providers]:
    with providers() as served:
        yield served


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, found: Providers) -> Iterator[Gateway]:
    with gateway(tmp_path_factory.mktemp("gateway"), found) as running:
        yield running


def says(raw: bytes) -> Behave:
    """Return what sends bytes as they are, and hangs up."""

    async def behave(exchange: Exchange) -> None:
        await exchange.send(raw)
        exchange.writer.close()

    return behave


BAD = {
    "no-http": says(b"SSH-2.0-server\r\n\r\n"),
    "no-status": says(b"HTTP/1.1 \r\n\r\n"),
    "long-head": says(b"HTTP/1.1 200 X\r\nx: " + b"y" * 100_000 + b"\r\n\r\n"),
    "half-a-head": says(b"HTTP/1.1 200 X\r\ncontent-ty"),
    "bad-chunk": says(STREAM + b"transfer-encoding: chunked\r\n\r\nzz\r\n"),
    "too-short": says(STREAM + b"content-length: 999\r\n\r\n" + START),
    "no-body": says(STREAM + b"content-length: 0\r\n\r\n"),
    "no-text": sends(bytes(range(256)) * 4),
    "no-events": sends(b'{"type": "message"}\n' * 9),
    "no-utf-8": sends(b'data: {"type": "\xff\xfe"}\n\n'),
    "no-object": sends(b"data: 1\n\ndata: []\n\ndata: null\n\n"),
    "deep": sends(b'data: {"delta": ' + b"[" * 100_000 + b"\n\n"),
    "deep-json": answers(200, b'{"content": ' + b"[" * 60_000),
    "no-gzip": says(STREAM + b"content-encoding: gzip\r\ncontent-length: 4\r\n\r\nabcd"),
    "a-page": answers(200, b"<html>Sign in</html>", content_type="text/html"),
    "no-json": answers(200, b'{"content": ['),
}


@pytest.mark.parametrize("name", BAD)
def test_bytes_that_are_no_answer_are_passed_over(
    run: Gateway, found: Providers, name: str
) -> None:
    run.profile(name), run.profile(f"after-{name}")
    run.route(name, name, f"after-{name}")
    found.behave[name] = BAD[name]
    assert run.ask(name).content == GOOD
    assert run.record(name).moved_from.startswith(f"{name}:")
    run.route(name, name)
    answer = run.ask(name)  # and alone it gets an error, or what the provider said
    assert answer.status_code == 502 or name in ("a-page", "no-json", "deep-json")


@pytest.mark.parametrize("stream", [True, False])
def test_an_answer_that_is_compressed_all_the_same_is_read(
    run: Gateway, found: Providers, stream: bool
) -> None:
    name = "compressed-stream" if stream else "compressed"
    run.profile(name)
    run.route(name, name)
    body = GOOD if stream else json.dumps({"content": [{"type": "text", "text": "x"}]}).encode()
    kind = "text/event-stream" if stream else "application/json"
    found.behave[name] = answers(
        200, gzip.compress(body), content_type=kind, content_encoding="gzip"
    )
    assert run.ask(name).content == body
    assert run.record(name).cause == ""


def test_a_quota_of_codex_moves_on_and_rests_until_its_reset(
    run: Gateway, found: Providers
) -> None:
    """In OpenAI's Responses, where the body alone says until when."""
    reset = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=5)
    limit = {"type": "usage_limit_reached", "resets_at": int(reset.timestamp())}
    done = b'data: {"type": "response.completed", "response": {"usage": {"output_tokens": 2}}}\n\n'
    for name in ("plan", "paid"):
        run.profile(name, openai_responses_base_url=f"{found.url}/{name}")
    run.route("codex", "plan", "paid")
    found.behave |= {"plan": answers(429, {"error": limit}), "paid": sends(done)}
    for _ in range(2):
        with run.http("codex") as http:
            assert http.post("/openai/v1/responses", json=REQUEST).content == done
    assert len(found.asked("plan")) == 1
    assert read_breakers(breakers_in(run.state))["plan"].cooled_until == reset


def test_an_answer_of_a_hundred_megabytes_passes_in_bounded_memory(
    run: Gateway, found: Providers
) -> None:
    """As many small events, and as one that has no end, which is looked into to its first 16 MB."""
    piece = DELTA * (MB // len(DELTA))
    endless = [START + DELTA + b"data: ", *[b"x" * MB] * 100]
    for name, pieces in {"large": [START, *[piece] * 100, END], "endless": endless}.items():
        run.profile(name)
        run.route(name, name)
        found.behave[name] = sends(*pieces)
        process = psutil.Process(run.process.pid)
        before, most, size = process.memory_info().rss, 0, 0
        with (
            run.http(name) as http,
            http.stream("POST", "/anthropic/v1/messages", json=REQUEST) as answer,
        ):
            for number, each in enumerate(answer.iter_raw()):
                size += len(each)
                if number % 50 == 0:
                    most = max(most, process.memory_info().rss - before)
        assert size >= sum(map(len, pieces))
        assert most < 64 * MB, name


def test_a_request_of_a_hundred_megabytes_passes_and_is_given_back(
    run: Gateway, found: Providers
) -> None:
    """Some seconds: three times as many bytes go over connections. One byte more is refused before it is read."""
    run.profile("bulky", model="other")
    run.route("bulky", "bulky")
    begin, end = b'{"model": "opus", "stream": true, "messages": ["', b'"]}'
    most = 100 * MB
    body = begin + b"x" * (most - len(begin) - len(end)) + end
    memory = Path(f"/proc/{run.process.pid}")
    held_at_most(memory)
    before = held_at_most(memory)
    with run.http("bulky") as http:
        for _ in range(2):
            answer = http.post("/anthropic/v1/messages", content=body)
            assert answer.content == GOOD
    head = (
        f"POST /anthropic/v1/messages HTTP/1.1\r\nhost: localhost\r\ncontent-length: {most + 1}\r\n"
    )
    token = run.headers("bulky")["authorization"]
    with socket.create_connection(("127.0.0.1", run.port), timeout=60) as client:
        client.sendall(f"{head}authorization: {token}\r\n\r\n".encode())
        assert client.recv(100).startswith(b"HTTP/1.1 413 ")
    asked = found.asked("bulky")
    assert [each.body for each in asked] == [body.replace(b'"opus"', b'"other"', 1)] * 2
    assert held_at_most(memory) - before < 250 * MB  # as it came, and with another model
    found.seen.clear()
    asked.clear()
    after = psutil.Process(run.process.pid).memory_info().rss
    assert after - before < 64 * MB


def held_at_most(process: Path) -> int:
    """Return the most bytes that a process had since it was asked last."""
    [line] = [each for each in (process / "status").read_text().splitlines() if "VmHWM" in each]
    (process / "clear_refs").write_text("5")
    return int(line.split()[1]) * 1024


def test_a_head_that_cannot_be_read_is_not_logged(tmp_path: Path, found: Providers) -> None:
    with gateway(tmp_path, found) as own:
        own.profile("plain")
        own.route("plain", "plain")
        token = own.headers("plain")["authorization"]
        with socket.create_connection(("127.0.0.1", own.port), timeout=60) as client:
            client.sendall(f"GET / HTTP/1.1\r\nauthorization: {token}\x01\r\n\r\n".encode())
            assert client.recv(100).startswith(b"HTTP/1.")
        said = own.stop()
    assert token.removeprefix("Bearer ") not in said
