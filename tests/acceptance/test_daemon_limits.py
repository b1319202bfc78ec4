"""Clients of the daemon that behave badly: they leave, crawl, send too much, come too many at once."""

import contextlib
import json
import re
import resource
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.support.command import UNMEASURED, Command
from tests.support.daemon import Daemon, layout, running, wait_until

pytestmark = pytest.mark.postgres

TIMEOUT_S = 2.0
MAX_REQUESTS = 8
MAX_BODY = 1 << 20
BATCH = "/api/v1/memories/batch"


@contextlib.contextmanager
def limited(home: Path, timeout_s: float, place: Callable[[Path], None]) -> Iterator[Daemon]:
    environment = {"MAHAVISHNU_EMBEDDING_PROVIDER": "none", **UNMEASURED}
    values = {"request_timeout": timeout_s, "max_requests": MAX_REQUESTS, "max_body": MAX_BODY}
    words = [word for key, value in values.items() for word in ("--set", f"server.{key}={value}")]
    command = Command(home, environment)
    place(layout(command).folder)
    with running(command, *words) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def patient(
    tmp_path_factory: pytest.TempPathFactory, place: Callable[[Path], None]
) -> Iterator[Daemon]:
    """A daemon that gives nobody up while a test looks at what it holds."""
    with limited(tmp_path_factory.mktemp("patient"), 600, place) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def daemon(
    tmp_path_factory: pytest.TempPathFactory, place: Callable[[Path], None]
) -> Iterator[Daemon]:
    """A daemon with little patience; memories of a size that no socket takes at once are there."""
    with limited(tmp_path_factory.mktemp("limited"), TIMEOUT_S, place) as daemon:
        for number in range(20):
            daemon.store(f"{number} " + "x" * 900_000, project="large")
        yield daemon


@pytest.fixture(autouse=True)
def unharmed(daemon: Daemon) -> Iterator[None]:
    """After each test nothing of it is left: no request, no connection, no fault in the log."""
    yield
    wait_until(lambda: active(daemon) == 1)  # the one that asks
    daemon.store("Others are served.")
    assert "Traceback" not in daemon.log and "request_failed" not in daemon.log


def metric(daemon: Daemon, name: str) -> float:
    with daemon.client() as client:
        shown = client.get("/metrics").text
    return sum(
        float(value) for value in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", shown, re.MULTILINE)
    )


def active(daemon: Daemon) -> float:
    return metric(daemon, "mahavishnu_active_requests")


def connections(daemon: Daemon) -> int:
    """Count the clients' connections that the daemon holds."""
    found = psutil.Process(daemon.process.pid).net_connections("tcp")
    return sum(each.status != psutil.CONN_LISTEN for each in found)


def memory(daemon: Daemon) -> int:
    return int(psutil.Process(daemon.process.pid).memory_info().rss)


@contextlib.contextmanager
def raw(daemon: Daemon, method: str, target: str, *lines: str) -> Iterator[socket.socket]:
    """Yield a connection on which the head of a request was sent."""
    token = daemon.headers["Authorization"]
    head = [
        f"{method} {target} HTTP/1.1",
        f"Host: 127.0.0.1:{daemon.port}",
        f"Authorization: {token}",
    ]
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(60)
        connection.connect(("127.0.0.1", daemon.port))
        connection.sendall("\r\n".join([*head, *lines, "", ""]).encode())
        yield connection


def read_all(connection: socket.socket) -> bytes:
    """Read until the other side ends it."""
    answer = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(1 << 16):
            answer += piece
    return answer


JSON = ("Content-Type: application/json", "Content-Length: 1000")
LINES = ("Content-Type: application/jsonl", "Transfer-Encoding: chunked")


def chunk(value: object) -> bytes:
    line = json.dumps(value).encode() + b"\n"
    return f"{len(line):x}\r\n".encode() + line + b"\r\n"


@pytest.mark.parametrize("route", ["/api/v1/memories", "/mcp", BATCH])
def test_who_leaves_while_sending_is_forgotten(patient: Daemon, route: str) -> None:
    lines = LINES if route == BATCH else JSON
    with raw(patient, "POST", route, *lines) as connection:
        connection.sendall(chunk({"content": "Half."})[:10])
        wait_until(lambda: active(patient) == 2)
    wait_until(lambda: active(patient) == 1 and connections(patient) == 0)


def test_who_leaves_while_receiving_is_forgotten(daemon: Daemon) -> None:
    with raw(daemon, "GET", "/api/v1/memories?max_tokens=null&projects=large") as connection:
        assert connection.recv(100)
    wait_until(lambda: connections(daemon) == 0)


def test_who_leaves_a_batch_keeps_what_was_confirmed(daemon: Daemon) -> None:
    text = "Confirmed before the client went."
    with raw(daemon, "POST", BATCH, *LINES) as connection:
        connection.sendall(chunk({"content": text, "project": "left"}))
        answer = b""
        while b'"id"' not in answer:
            answer += connection.recv(4096)
    with daemon.client() as client:
        kept = client.get("/api/v1/memories", params={"projects": "left"}).json()["memories"]
    assert [each["content"] for each in kept] == [text]


@pytest.mark.parametrize("route", ["/api/v1/memories", "/mcp"])
def test_who_sends_too_slowly_hears_408(daemon: Daemon, route: str) -> None:
    with raw(daemon, "POST", route, *JSON, "Connection: close") as connection:
        connection.sendall(b'{"content": ')
        answer = read_all(connection)
    assert answer.startswith(b"HTTP/1.1 408 ") and b'"http.timeout"' in answer


def test_a_batch_that_stalls_is_told_so(daemon: Daemon) -> None:
    with raw(daemon, "POST", BATCH, *LINES, "Connection: close") as connection:
        connection.sendall(chunk({"content": "A line that came."}))
        answer = read_all(connection)
    assert b'"id"' in answer and b'"http.timeout"' in answer and b'"complete":false' in answer


def test_who_never_sends_a_whole_head_is_given_up(daemon: Daemon) -> None:
    with contextlib.ExitStack() as held:
        opened = []
        for sent in (b"", b"G", b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX: "):
            where = ("127.0.0.1", daemon.port)
            opened.append(held.enter_context(socket.create_connection(where, timeout=60)))
            opened[-1].sendall(sent)
        assert [read_all(connection) for connection in opened] == [b"", b"", b""]


def test_a_second_head_has_to_come_as_soon(daemon: Daemon) -> None:
    with raw(daemon, "GET", "/health") as connection:
        assert connection.recv(1 << 16)
        connection.sendall(b"GET /hea")
        assert b"HTTP" not in read_all(connection)


@pytest.mark.parametrize("how", ["one answer", "batch"])
def test_who_does_not_read_is_given_up(daemon: Daemon, how: str) -> None:
    if how == "one answer":
        opened = raw(daemon, "GET", "/api/v1/memories?max_tokens=null&projects=large&limit=20")
    else:
        opened = raw(daemon, "POST", BATCH, *LINES)
    with opened as connection:
        if how == "batch":
            connection.sendall(chunk([]))
        assert connection.recv(20)  # it is being served
        if how == "batch":
            connection.settimeout(0.2)
            nonsense = chunk([]) * 2_000
            with contextlib.suppress(OSError):  # ends when neither side takes anything any more
                while True:
                    connection.sendall(nonsense)
        wait_until(lambda: connections(daemon) == 0)


def test_who_reads_slowly_but_reads_gets_everything(daemon: Daemon) -> None:
    with raw(daemon, "GET", "/api/v1/memories?max_tokens=null&projects=large&limit=20",
             "Connection: close") as connection:  # fmt: skip
        answer, rests = bytearray(), 0
        while piece := connection.recv(1 << 16):
            answer += piece
            if len(answer) > rests * 1_000_000:  # in all it rests twice as long as it may at once
                rests += 1
                time.sleep(2 * TIMEOUT_S / 18)
    assert rests >= 18 and answer.endswith(b"}")


@pytest.mark.parametrize("route", ["/api/v1/memories", "/mcp", BATCH])
@pytest.mark.parametrize("told", [True, False], ids=["with its length", "without"])
def test_a_body_of_100_mb_is_refused_so_that_the_client_hears_it(
    daemon: Daemon, route: str, told: bool
) -> None:
    piece, count = b"x" * (1 << 20), 100
    length = {"Content-Length": str(len(piece) * count)} if told else {}
    kind = "application/jsonl" if route == BATCH else "application/json"
    before, most = memory(daemon), [0]

    def body() -> Iterator[bytes]:
        for _ in range(count):
            most[0] = max(most[0], memory(daemon))
            yield piece

    headers = {**length, "Content-Type": kind, "Accept": "application/json, text/event-stream"}
    with daemon.client() as client:
        answer = client.post(route, content=body(), headers=headers)
        if route == BATCH and not told:  # the answer has begun by then: a line says it
            assert '"http.line"' in answer.text or '"http.too_large"' in answer.text
            assert '"complete":false' in answer.text
        else:
            assert answer.status_code == 413 and answer.json()["error"]["code"] == "http.too_large"
    assert most[0] - before < 10 * MAX_BODY + (16 << 20)


def test_a_body_as_long_as_may_be_is_taken(daemon: Daemon) -> None:
    body = json.dumps({"content": "y" * 900_000}).encode()
    with daemon.client() as client:
        for length, status in ((MAX_BODY, 201), (MAX_BODY + 1, 413)):
            headers = {"Content-Type": "application/json"}
            answer = client.post("/api/v1/memories", content=body.ljust(length), headers=headers)
            assert answer.status_code == status, answer.text


def test_too_many_at_once_are_told_to_come_again(patient: Daemon) -> None:
    with contextlib.ExitStack() as held:
        for _ in range(MAX_REQUESTS):
            connection = held.enter_context(raw(patient, "POST", BATCH, *LINES))
            connection.sendall(chunk({"content": "Held."}))
            assert connection.recv(20)  # it is being served
        with patient.client() as client:
            for method, route in (("GET", "/api/v1/stats"), ("POST", "/mcp"), ("POST", BATCH)):
                refused = client.request(method, route)
                assert refused.status_code == 429 and refused.headers["retry-after"] == "1"
                assert refused.json()["error"]["code"] == "http.too_many"
            assert client.get("/health").status_code == 200
        stranger = httpx.get(f"{patient.url}/api/v1/stats", trust_env=False)
        assert stranger.status_code == 401
    wait_until(lambda: connections(patient) == 0)


def test_more_than_may_be_at_once_all_pass_who_come_again(daemon: Daemon) -> None:
    def insist(number: int) -> tuple[str, int]:
        refused = 0
        with daemon.client() as client:
            while True:
                answer: Any = client.post(
                    "/api/v1/memories", json={"content": f"Insisted {number}."}
                )
                if answer.status_code != 429:
                    return str(answer.json()["id"]), refused
                refused += 1
                time.sleep(0.02)

    with ThreadPoolExecutor(4 * MAX_REQUESTS) as pool:
        told = list(pool.map(insist, range(200)))
    assert len({name for name, _ in told}) == 200


def test_more_clients_than_the_shell_allows_files(settled: Command) -> None:
    def few_files() -> None:
        resource.setrlimit(
            resource.RLIMIT_NOFILE, (128, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
        )

    told = settled("up", "--detach", "--port", "0", "--json", preexec=few_files).json
    try:
        with contextlib.ExitStack() as held:
            where = ("127.0.0.1", told["daemon"]["port"])
            asked = f"GET /health HTTP/1.1\r\nHost: 127.0.0.1:{where[1]}\r\n\r\n".encode()
            opened = [held.enter_context(socket.create_connection(where, 8)) for _ in range(300)]
            for connection in opened:
                connection.sendall(asked)
            answers = [connection.recv(4096) for connection in opened]
        assert all(answer.startswith(b"HTTP/1.1 200") for answer in answers)
    finally:
        settled("down", "--force")
