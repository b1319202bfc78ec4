"""Who may ask the daemon: the token file in all its states, and hosts and origins of elsewhere."""

import http.client
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.command import UNMEASURED, Command
from tests.support.daemon import Daemon, call, http_session, layout, running, stdio_session

pytestmark = pytest.mark.postgres

ROUTES = (
    "/health",
    "/metrics",
    "/mcp",
    "/api/v1/memories",
    "/api/v1/docs",
    "/",
    "/unknown",
    "/../x",
)
METHODS = ("GET", "POST", "OPTIONS", "DELETE", "HEAD")


@pytest.fixture(scope="module")
def daemon(
    tmp_path_factory: pytest.TempPathFactory, place: Callable[[Path], None]
) -> Iterator[Daemon]:
    environment = {"MAHAVISHNU_EMBEDDING_PROVIDER": "none", **UNMEASURED}
    command = Command(tmp_path_factory.mktemp("guarded"), environment)
    place(layout(command).folder)
    with running(command) as daemon:
        yield daemon


def token_file(command: Command) -> Path:
    return command.root / "state/token"


# ---- the token


def test_the_token_is_for_its_owner_alone(daemon: Daemon) -> None:
    file = token_file(daemon.command)
    assert file.stat().st_mode & 0o777 == 0o600 and file.parent.stat().st_mode & 0o777 == 0o700
    token = daemon.headers["Authorization"].removeprefix("Bearer ")
    assert daemon.command("token", "show").out.strip() == token
    assert daemon.command("token", "path", "--json").json == {"path": str(file)}
    told = daemon.command("status", "--json").out + daemon.command("status").out + daemon.log
    assert token not in told and len(token) > 40


@pytest.mark.parametrize("given", ["", "Bearer", "Bearer wrong", "Basic {}", "{}", "Bearer {}x",
                                   "Bearer \xff"])  # fmt: skip
def test_only_the_token_lets_in(daemon: Daemon, given: str) -> None:
    token = daemon.headers["Authorization"].removeprefix("Bearer ")
    headers = {"Authorization": given.format(token).encode("latin-1")} if given else {}
    for route in ROUTES[1:]:
        for method in METHODS:
            answer = httpx.request(method, daemon.url + route, headers=headers, trust_env=False)
            assert answer.status_code == 401, (method, route)
            assert answer.headers["www-authenticate"].startswith("Bearer")
    assert token not in daemon.log
    health = httpx.get(f"{daemon.url}/health", trust_env=False)
    assert health.json() == {"name": "mahavishnu", "status": "ok"}


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o602, 0o606])
def test_a_token_that_others_can_reach_is_refused_until_it_is_mended(
    daemon: Daemon, mode: int
) -> None:
    file, command = token_file(daemon.command), daemon.command
    with daemon.client() as client:
        assert client.get("/api/v1/memories").status_code == 200
        file.chmod(mode)
        try:
            assert client.get("/api/v1/memories").status_code == 401
            assert client.get("/health").status_code == 200
            shown = command("token", "show", "--json")
            assert (shown.status, shown.error["code"]) == (6, "daemon.token_exposed")
            assert shown.error["hint"] == "Replace it with: mahavishnu token rotate"
            told = command("status", "--json").json
            assert told["running"] and told["problem"]["code"] == "daemon.token_exposed"
        finally:
            assert command("token", "rotate").status == 0
        assert file.stat().st_mode & 0o777 == 0o600
        assert client.get("/api/v1/memories").status_code == 401
    with daemon.client() as client:
        assert client.get("/api/v1/memories").status_code == 200


def test_it_does_not_start_with_a_token_that_others_can_read(settled: Command) -> None:
    settled("token", "show")
    token_file(settled).chmod(0o644)
    for words in (("up", "--port", "0"), ("up", "--port", "0", "--detach")):
        answer = settled(*words, "--json")
        assert (answer.status, answer.error["code"]) == (6, "daemon.token_exposed")
        assert "mahavishnu token rotate" in answer.error["hint"]
    assert not settled("status", "--json").json["running"]


@pytest.mark.parametrize("plant", ["symlink", "pipe", "folder", "garbage", "empty", "long"])
def test_what_is_no_token_file_is_refused_and_not_written_through(
    settled: Command, tmp_path: Path, plant: str
) -> None:
    file, aside = token_file(settled), tmp_path / "aside"
    token = settled("token", "show").out
    file.rename(aside)
    match plant:
        case "symlink":
            file.symlink_to(aside)
        case "pipe":
            os.mkfifo(file, 0o600)
        case "folder":
            file.mkdir(0o700)
        case _:
            text = {"garbage": b"\0\xff" * 40, "empty": b"", "long": b"mv-" + b"a" * 100_000}[plant]
            file.write_bytes(text)
            file.chmod(0o600)
    answer = settled("up", "--detach", "--port", "0", "--json")
    settled("down", "--force")  # where it began after all
    assert answer.error["code"] in ("daemon.token_exposed", "daemon.token_damaged")
    if plant == "folder":
        file.rmdir()
    rotated = settled("token", "rotate", "--json")
    assert rotated.json["rotated"]
    assert aside.read_text() == token
    assert file.is_file() and not file.is_symlink() and file.read_text() != token
    assert settled("token", "show").out == file.read_text()


async def test_a_rotated_token_counts_at_once_for_every_client(daemon: Daemon) -> None:
    command = daemon.command
    async with stdio_session(command) as stdio, http_session(daemon) as old:
        assert await call(stdio, "memory_stats") and await call(old, "memory_stats")
        before = daemon.headers
        assert command("token", "rotate").status == 0
        after = daemon.headers
        assert before != after
        async with httpx.AsyncClient(base_url=daemon.url, trust_env=False) as client:
            for headers, status in ((before, 401), (after, 200)):
                assert (await client.get("/api/v1/stats", headers=headers)).status_code == status
        assert await call(stdio, "memory_stats")
        with pytest.raises(Exception, match=r"401|Unauthorized|refused|error"):
            await call(old, "memory_stats")


async def test_a_stdio_client_lives_through_rotation_under_load(daemon: Daemon) -> None:
    async with stdio_session(daemon.command) as stdio:
        for _ in range(4):
            assert daemon.command("token", "rotate").status == 0
            for _ in range(5):
                assert await call(stdio, "memory_stats")


# ---- hosts and origins


def ask(
    daemon: Daemon, method: str, target: str, headers: list[tuple[str, str]]
) -> tuple[int, list[tuple[str, str]], bytes]:
    """Ask with just these headers; returns status, headers and body."""
    with socket.create_connection(("127.0.0.1", daemon.port), timeout=60) as raw:
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
        raw.sendall("\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1"))
        answer = http.client.HTTPResponse(raw, method=method)
        answer.begin()
        return answer.status, answer.getheaders(), answer.read()


@pytest.mark.parametrize(
    "hosts",
    [
        [], ["{own}", "{own}"], ["{own}", "evil.example"], ["evil.example"], ["evil.example:{port}"],
        ["127.0.0.1.evil.example"], ["127.0.0.1.evil.example:{port}"], ["localhost.evil.example"],
        ["127.0.0.1@evil.example"], ["localhost.:{port}"], ["LOCALHOST.EVIL.EXAMPLE"],
        ["[::1]:{port}"], ["::1"], ["0.0.0.0:{port}"], ["127.0.0.2"], ["2130706433"], ["127.1"], [""],
        [":{port}"], ["{own}:80"], ["{own}, evil.example"], ["localhost evil.example"],
    ],
)  # fmt: skip
def test_another_host_is_refused_everywhere(daemon: Daemon, hosts: list[str]) -> None:
    own = f"127.0.0.1:{daemon.port}"
    named = [("Host", host.format(own=own, port=daemon.port)) for host in hosts]
    for route in ROUTES:
        for method in METHODS[:3]:
            given = [*named, *daemon.headers.items()]
            status, headers, body = ask(daemon, method, route, given)
            assert status in (400, 421), (method, route, status)
            assert_nothing_is_open(headers)
            assert b"memories" not in body


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:{port}", "localhost", "localhost:{port}"])
def test_ones_own_host_is_served(daemon: Daemon, host: str) -> None:
    given = [("Host", host.format(port=daemon.port)), *daemon.headers.items()]
    for route in ("/health", "/api/v1/stats"):
        assert ask(daemon, "GET", route, given)[0] == 200


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Origin", "null"), ("Origin", "http://evil.example"), ("Origin", "http://127.0.0.1:1"),
        ("Origin", "http://127.0.0.1"), ("Origin", "https://{own}"), ("Origin", "http://localhost:{port}"),
        ("Origin", "http://{own}.evil.example"), ("Origin", "http://{own}/"), ("Origin", ""),
        ("Origin", "file://"), ("Origin", "http://{own}, http://evil.example"),
        ("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Site", "same-site"), ("Sec-Fetch-Site", ""),
    ],
)  # fmt: skip
def test_pages_of_elsewhere_are_refused_everywhere(daemon: Daemon, name: str, value: str) -> None:
    own = f"127.0.0.1:{daemon.port}"
    given = [
        ("Host", own),
        *daemon.headers.items(),
        (name, value.format(own=own, port=daemon.port)),
    ]
    for route in ROUTES:
        for method in METHODS:
            status, headers, _ = ask(daemon, method, route, given)
            assert status == 403, (method, route, status)
            assert_nothing_is_open(headers)


def test_a_preflight_is_answered_by_no_route(daemon: Daemon) -> None:
    given = [("Host", f"127.0.0.1:{daemon.port}"), *daemon.headers.items(),
             ("Access-Control-Request-Method", "POST")]  # fmt: skip
    for route in ROUTES:
        status, headers, _ = ask(daemon, "OPTIONS", route, given)
        assert status in (404, 405), (route, status)
        assert_nothing_is_open(headers)


def test_a_target_with_another_host_in_it_reaches_nothing(daemon: Daemon) -> None:
    given = [("Host", f"127.0.0.1:{daemon.port}"), *daemon.headers.items()]
    for target in ("http://evil.example/api/v1/stats", "//evil.example/api/v1/stats", "*"):
        assert ask(daemon, "GET", target, given)[0] in (400, 404)


def test_what_is_no_http_is_refused_and_harms_nobody(daemon: Daemon) -> None:
    for noise in (
        b"\x16\x03\x01\x02\x00" * 50,
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\0" * 70_000,
    ):
        with socket.create_connection(("127.0.0.1", daemon.port), timeout=60) as raw:
            raw.sendall(noise)
            raw.shutdown(socket.SHUT_WR)
            raw.settimeout(60)
            answer = b""
            try:
                while piece := raw.recv(4096):
                    answer += piece
            except ConnectionResetError:
                pass
            assert answer[:12] in (b"", b"HTTP/1.1 400", b"HTTP/1.1 421")
    daemon.store("Still here.")


def assert_nothing_is_open(headers: list[tuple[str, str]]) -> None:
    assert not [name for name, _ in headers if name.lower().startswith("access-control")]
