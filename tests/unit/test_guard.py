"""The guard: who may ask, how much, how many at once, how slowly; each refusal in one shape."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
from starlette.types import Message, Receive, Scope, Send

from mahavishnu.base.daemon.same_settings import HEADER, mark_settings
from mahavishnu.base.daemon.token import TokenFile, ensure_token, rotate_token
from mahavishnu.base.errors import Conflict
from mahavishnu.base.settings.tree import PostgresqlSettings, ServerSettings, Settings
from mahavishnu.interfaces.http import guard as guarding
from mahavishnu.interfaces.http.guard import Guard
from mahavishnu.interfaces.http.metrics import Metrics
from tests.support.served import captured_logs

type Work = Callable[[Scope, Receive, Send], Awaitable[None]]
LIMITS = ServerSettings(max_requests=2, max_body=100, request_timeout=0.2)
BATCH = "/api/v1/memories/batch"


async def echo(_scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the size of the body."""
    size, more = 0, True
    while more:
        message = await receive()
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(size).encode()})


@dataclass
class Site:
    """A guarded application, asked as a server would ask it."""

    path: Path
    work: Work = echo
    limits: ServerSettings = LIMITS
    metrics: Metrics = field(default_factory=Metrics)

    def __post_init__(self) -> None:
        self.token = ensure_token(self.path)
        self.guard = Guard(
            self.work, token=TokenFile(self.path), limits=self.limits, metrics=self.metrics,
            settings=Settings(),
        )  # fmt: skip

    async def ask(
        self, *pieces: bytes, path: str = "/api/v1/stats", method: str = "POST",
        headers: list[tuple[str, str]] | None = None, replace: dict[str, str | None] | None = None,
    ) -> tuple[int, str]:  # fmt: skip
        """Return the status, and the body or the code of the error."""
        given: dict[str, str | None] = {
            "host": "127.0.0.1:8680", "authorization": f"Bearer {self.token}",
        } | (replace or {})  # fmt: skip
        pairs = [(name, value) for name, value in given.items() if value is not None]
        scope = {
            "type": "http", "method": method, "path": path,
            "headers": [(n.encode(), v.encode("latin-1")) for n, v in [*pairs, *(headers or [])]],
        }  # fmt: skip
        waiting = [
            {"type": "http.request", "body": piece, "more_body": n < len(pieces) - 1}
            for n, piece in enumerate(pieces or (b"",))
        ]
        answered: list[Message] = []

        async def receive() -> Message:
            if not waiting:
                await asyncio.Event().wait()
            return waiting.pop(0)

        async def send(message: Message) -> None:
            answered.append(message)

        await self.guard(scope, receive, send)
        body = b"".join(message.get("body", b"") for message in answered).decode()
        status = answered[0]["status"]
        assert (b"x-content-type-options", b"nosniff") in answered[0]["headers"]
        return status, body if status < 400 else json.loads(body)["error"]["code"]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "token")


async def test_who_knows_the_token_may_ask(site: Site) -> None:
    assert await site.ask(b"1234", b"56") == (200, "6")
    for scheme in ("bearer", "BEARER"):
        assert (await site.ask(replace={"authorization": f"{scheme}  {site.token} "}))[0] == 200
    for wrong in (None, "", site.token, "Bearer", "Bearer ", f"Basic {site.token}", f"Bearer {site.token}x",
                  f"Bearer {site.token[:-1]}", f"Bearer {site.token.upper()}", "Bearer \xe9\xff"):  # fmt: skip
        got = await site.ask(b"x", replace={"authorization": wrong})
        assert got == (401, "http.unauthorized"), wrong


async def test_a_command_with_other_settings_is_refused(site: Site) -> None:
    elsewhere = Settings(postgresql=PostgresqlSettings(host="db.example"))
    for settings, token, expected in (
        (Settings(server=ServerSettings(port=1)), site.token, 200),  # which no answer depends on
        (elsewhere, site.token, 409),
        (Settings(), f"{site.token}x", 409),
    ):
        mark = mark_settings(settings, token)
        assert (await site.ask(headers=[(HEADER, mark)]))[0] == expected


async def test_only_health_is_open(site: Site) -> None:
    for path, status in (("/health", 200), ("/health/", 401), ("//health", 401), ("/Health", 401),
                         ("/metrics", 401), ("/mcp", 401), ("/api/v1/docs", 401), ("/", 401)):  # fmt: skip
        assert (await site.ask(path=path, method="GET", replace={"authorization": None}))[
            0
        ] == status


async def test_a_new_token_counts_at_once_and_an_exposed_one_not_at_all(site: Site) -> None:
    new = rotate_token(site.path)
    assert (await site.ask())[0] == 401
    assert (await site.ask(replace={"authorization": f"Bearer {new}"}))[0] == 200
    site.path.chmod(0o644)
    with captured_logs() as logged:
        assert await site.ask(replace={"authorization": f"Bearer {new}"}) == (
            401,
            "http.unauthorized",
        )
    assert logged[0]["code"] == "daemon.token_exposed" and new not in str(logged)


async def test_the_host_must_be_this_machine_on_every_route(site: Site) -> None:
    for good in (
        "127.0.0.1",
        "localhost",
        "localhost:8680",
        "127.0.0.1:9",
        "LOCALHOST",
        "Localhost:9",
    ):
        assert (await site.ask(replace={"host": good}))[0] == 200, good
    for bad in (
        None, "", "evil.example", "evil.example:8680", "127.0.0.1.evil.example", "localhost.", "0.0.0.0",
        "127.0.0.1@evil.example", "evil.example/127.0.0.1", "[::1]:8680", "127.0.0.2", "10.0.0.5:8680",
    ):  # fmt: skip
        for path in ("/health", "/api/v1/stats", "/mcp", "/metrics"):
            assert await site.ask(path=path, replace={"host": bad}) == (421, "http.host"), bad
    assert await site.ask(headers=[("host", "localhost")]) == (421, "http.host")  # two of them


async def test_pages_of_other_origins_may_not_ask(site: Site) -> None:
    own = "http://127.0.0.1:8680"
    for good in ([("origin", own)], [("origin", own), ("sec-fetch-site", "same-origin")],
                 [("sec-fetch-site", "none")], []):  # fmt: skip
        assert (await site.ask(headers=good))[0] == 200, good
    for bad in ("https://evil.example", "null", "", "http://127.0.0.1", "http://localhost:8680",
                "https://127.0.0.1:8680", "http://127.0.0.1:3000", f"{own}.evil.example", f"{own} {own}"):  # fmt: skip
        for path in ("/health", "/api/v1/stats", "/mcp"):
            assert await site.ask(path=path, headers=[("origin", bad)]) == (403, "http.origin"), bad
    for site_of in ("cross-site", "same-site", "nonsense"):
        got = await site.ask(headers=[("sec-fetch-site", site_of)])
        assert got == (403, "http.origin")
    both = [("origin", own), ("origin", "https://evil.example")]
    assert await site.ask(headers=both) == (403, "http.origin")


async def test_a_body_is_bounded_whatever_its_length_claims(site: Site) -> None:
    assert await site.ask(b"x" * 100) == (200, "100")
    assert await site.ask(b"x" * 101) == (413, "http.too_large")
    assert await site.ask(*[b"x" * 10] * 11) == (413, "http.too_large")
    assert await site.ask(b"x", headers=[("content-length", "101")]) == (413, "http.too_large")
    assert await site.ask(headers=[("content-length", "9" * 5_000)]) == (413, "http.too_large")
    assert await site.ask(b"x" * 200, headers=[("content-length", "5")]) == (413, "http.too_large")
    assert await site.ask(b"x", headers=[("content-length", "nonsense")]) == (200, "1")
    assert await site.ask(b"x" * 800, path=BATCH) == (200, "800")
    assert await site.ask(*[b"x" * 100] * 9, path=BATCH) == (413, "http.too_large")


async def test_a_refusal_waits_for_no_body_that_is_there(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guarding, "LINGER_S", 60)
    async with asyncio.timeout(30):
        assert await site.ask(b"x" * 101) == (413, "http.too_large")
        assert await site.ask(b"x" * 901, path=BATCH) == (413, "http.too_large")
        assert await site.ask(b"x" * 50, b"x" * 51, b"x" * 10) == (413, "http.too_large")
        assert await site.ask(b"x", b"y", replace={"authorization": None}) == (
            401,
            "http.unauthorized",
        )


async def test_so_many_at_once_and_no_more(tmp_path: Path) -> None:
    go, entered = asyncio.Event(), asyncio.Semaphore(0)

    async def wait(scope: Scope, receive: Receive, send: Send) -> None:
        entered.release()
        await go.wait()
        await echo(scope, receive, send)

    site = Site(tmp_path / "token", wait)
    running = [asyncio.create_task(site.ask()) for _ in range(2)]
    for _ in running:
        await entered.acquire()
    assert await site.ask() == (429, "http.too_many")
    assert (await site.ask(replace={"authorization": None}))[
        0
    ] == 401  # the bound is told to callers alone
    assert b"mahavishnu_active_requests 2.0" in site.metrics.render()
    go.set()
    assert [status for status, _ in await asyncio.gather(*running)] == [200, 200]
    assert (await site.ask())[0] == 200
    assert b"mahavishnu_active_requests 0.0" in site.metrics.render()


async def test_a_body_that_does_not_come_is_given_up(site: Site) -> None:
    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    answered: list[Message] = []

    async def send(message: Message) -> None:
        answered.append(message)

    headers = [(b"host", b"localhost"), (b"authorization", f"Bearer {site.token}".encode())]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(guarding, "LINGER_S", 0.05)
        await site.guard(
            {"type": "http", "method": "POST", "path": "/mcp", "headers": headers}, receive, send
        )
    assert answered[0]["status"] == 408
    assert (await site.ask())[0] == 200  # it holds no place


async def test_a_reader_that_does_not_read_is_given_up(tmp_path: Path) -> None:
    site = Site(tmp_path / "token")
    headers = [(b"host", b"localhost"), (b"authorization", f"Bearer {site.token}".encode())]

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_message: Message) -> None:
        await asyncio.Event().wait()

    # It returns without an answer, and so the connection is closed.
    await site.guard(
        {"type": "http", "method": "POST", "path": "/mcp", "headers": headers}, receive, send
    )
    assert b"mahavishnu_stalled_readers_total 1.0" in site.metrics.render()
    assert (await site.ask())[0] == 200


async def test_a_fault_is_masked_and_one_of_ours_is_told(tmp_path: Path) -> None:
    async def fail(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise RuntimeError("secret dsn=postgres://u:p@h")

    async def refuse(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise Conflict("Not so.", code="memory.duplicate")

    with captured_logs() as logged:
        assert await Site(tmp_path / "token", fail).ask() == (500, "internal")
    assert "secret dsn" in str(logged[0]["exception"])
    assert await Site(tmp_path / "token", refuse).ask() == (409, "memory.duplicate")


async def test_what_is_not_http_is_not_answered(site: Site) -> None:
    async def never(*_given: Any) -> Any:
        raise AssertionError

    await site.guard({"type": "websocket", "path": "/mcp", "headers": []}, never, never)


async def test_bodies_of_all_requests_together_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guarding, "MAX_HELD", 150)
    begun, on = asyncio.Event(), asyncio.Event()

    async def wait(scope: Scope, receive: Receive, send: Send) -> None:
        begun.set()
        await on.wait()
        await echo(scope, receive, send)

    site = Site(tmp_path / "token", work=wait)
    first = asyncio.create_task(site.ask(b"x" * 90))
    await begun.wait()
    assert await site.ask(b"x" * 90) == (429, "http.too_many")
    on.set()
    assert await first == (200, "90")
    for _ in range(3):  # what was held is let go of
        assert await site.ask(b"x" * 90) == (200, "90")


async def test_an_origin_is_the_hosts_whatever_its_letters(site: Site) -> None:
    own = [("origin", "http://localhost:8680")]
    assert (await site.ask(headers=own, replace={"host": "LOCALHOST:8680"}))[0] == 200


@pytest.mark.parametrize("header", [("content-length", "5"), ("transfer-encoding", "chunked")])
async def test_no_body_is_read_on_the_open_path(site: Site, header: tuple[str, str]) -> None:
    answered: list[Message] = []

    async def receive() -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        answered.append(message)

    for method in ("GET", "POST"):
        headers = [(b"host", b"localhost"), (header[0].encode(), header[1].encode())]
        scope = {"type": "http", "method": method, "path": "/health", "headers": headers}
        await site.guard(scope, receive, send)
        assert answered[0]["status"] == 413
        assert (b"connection", b"close") in answered[0]["headers"]
        answered.clear()
    none = [("content-length", "0")]
    assert (await site.ask(path="/health", method="GET", headers=none))[0] == 200


async def test_the_open_path_takes_nobodys_place(tmp_path: Path) -> None:
    go, entered = asyncio.Event(), asyncio.Semaphore(0)

    async def wait(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/health":
            entered.release()
            await go.wait()
        await echo(scope, receive, send)

    site = Site(tmp_path / "token", wait)
    looking = [
        asyncio.create_task(site.ask(path="/health", replace={"authorization": None}))
        for _ in range(10)
    ]
    for _ in looking:
        await entered.acquire()
    assert b"mahavishnu_active_requests 0.0" in site.metrics.render()
    assert (await site.ask())[0] == 200
    go.set()
    assert {status for status, _ in await asyncio.gather(*looking)} == {200}


async def test_a_whole_body_has_its_time_and_a_stream_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """3 s: a stream may rest for one, which is not much on a busy machine."""
    monkeypatch.setattr(guarding, "LINGER_S", 0.05)
    site = Site(tmp_path / "token", limits=msgspec.structs.replace(LIMITS, request_timeout=1.0))
    statuses: list[int] = []
    sent = 0

    async def crawl() -> Message:
        nonlocal sent
        await asyncio.sleep(0.15)
        sent += 1
        return {"type": "http.request", "body": b"x", "more_body": sent < 10}

    async def send(message: Message) -> None:
        statuses.append(message.get("status", 0))

    headers = [(b"host", b"localhost"), (b"authorization", f"Bearer {site.token}".encode())]
    for path, status in (("/mcp", 408), (BATCH, 200)):
        sent = 0
        scope = {"type": "http", "method": "POST", "path": path, "headers": headers}
        await site.guard(scope, crawl, send)
        assert statuses[0] == status
        statuses.clear()


async def test_a_compressed_body_is_refused(site: Site) -> None:
    for coding in ("gzip", "br", "GZIP", "identity, gzip"):
        got = await site.ask(b"x", headers=[("content-encoding", coding)])
        assert got == (415, "http.content_encoding")
    assert (await site.ask(b"x", headers=[("content-encoding", "identity")]))[0] == 200


async def test_a_token_that_cannot_be_used_is_logged_seldom(site: Site) -> None:
    site.path.chmod(0o644)
    with captured_logs() as logged:
        for _ in range(20):
            assert (await site.ask())[0] == 401
    assert [line["event"] for line in logged if line["log_level"] == "error"] == ["token_unusable"]
