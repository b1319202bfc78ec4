"""The gateway's decisions, without a process: how a stream ended, whom to ask, what passes, what is counted."""

import asyncio
import contextlib
import json
import re
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from mahavishnu.ai.clients.delivery import Protocol
from mahavishnu.ai.profiles.profile import Profile
from mahavishnu.ai.routes import translated
from mahavishnu.ai.routes.routes import Link, Route, Routes, read_routes
from mahavishnu.ai.secrets.reference import Reference
from mahavishnu.base.masking import Secret
from mahavishnu.daemon.gateway_samples import samples_of
from mahavishnu.gateway import attempt as attempt_module
from mahavishnu.gateway import outcome, records
from mahavishnu.gateway.arrived import Arrived, ClientGone, Going
from mahavishnu.gateway.attempt import Attempt
from mahavishnu.gateway.breaker import LONGEST_OPEN, OPEN_FOR, PROBE_LASTS, Breakers
from mahavishnu.gateway.causes import ProviderFailure
from mahavishnu.gateway.chain import Candidate, choose
from mahavishnu.gateway.limits import DayUse
from mahavishnu.gateway.notes import GatewayNotes
from mahavishnu.gateway.outcome import StreamWatch, TokenCount, WholeWatch, read_tokens
from mahavishnu.gateway.prices import price_of
from mahavishnu.gateway.provider import ProviderSession, Times, UnusableProxy, find_proxy
from mahavishnu.gateway.records import UseLog, UseRecord, read_records, sum_use, use_of_day
from mahavishnu.gateway.sight import FromFiles, ProfileKeys
from mahavishnu.gateway.wire import (
    AskedModel,
    PathMeaning,
    error_body,
    find_meaning,
    map_model,
    replace_model,
)
from tests.support.gateway import DELTA, END, GOOD, START, event

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
OVERLOAD = ProviderFailure(cause="overload")
DONE = b"data: [DONE]\n\n"
END_OF_EVENT = outcome._END


def data(**values: object) -> bytes:
    return f"data: {json.dumps(values)}\n\n".encode()


def said(text: str) -> bytes:
    return data(choices=[{"index": 0, "delta": {"content": text}, "finish_reason": None}])


STOP = data(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}])
OUT = data(type="response.output_text.delta", delta="x")
COMPLETED = data(
    type="response.completed", response={"usage": {"input_tokens": 9, "output_tokens": 2}}
)
FAILED = data(type="response.failed", response={"error": {"code": "server_is_overloaded"}})
SILENT = {"type": "message", "content": []}
SAYING = {"type": "message", "content": [{"type": "output_text", "text": "x"}]}
ITEM = data(type="response.output_item.added", item=SILENT)
EMPTY = event("content_block_start", index=0, content_block={"type": "text", "text": ""})
TOOL = event("content_block_start", index=0, content_block={"type": "tool_use", "name": "x"})
UNPAID = event("message_delta", usage={"output_tokens": 0}) + event("message_stop")


@pytest.mark.parametrize(
    ("protocol", "stream", "cause"),
    [
        ("anthropic", GOOD, None),
        ("anthropic", GOOD.replace(b"\n", b"\r\n"), None),
        ("anthropic", GOOD.rstrip(), None),
        ("anthropic", START + END, None),  # it counts tokens of an answer
        ("anthropic", START + EMPTY + UNPAID, "provider"),
        ("anthropic", START + TOOL + UNPAID, None),
        ("anthropic", START + DELTA, "provider"),
        ("anthropic", START + data(type="error", error={"type": "overloaded_error"}), "overload"),
        ("anthropic", b"", "provider"),
        ("anthropic", START + DELTA + b"data: {no\n\n" + END, "provider"),
        ("openai-responses", OUT + COMPLETED, None),
        ("openai-responses", COMPLETED, None),  # it counts tokens of an answer
        ("openai-responses", OUT + FAILED, "overload"),
        ("openai-responses", OUT + data(type="error", code="rate_limit_exceeded", message="x"), "quota"),
        ("openai-responses", OUT, "provider"),
        ("openai-responses", data(type="response.completed", response={"output": [SAYING]}), None),
        ("openai-responses", data(type="response.completed", response={"output": [SILENT]}), "provider"),
        ("openai-chat", said("x") + STOP + DONE, None),
        ("openai-chat", said("x") + STOP, None),
        ("openai-chat", said("x"), "provider"),
        ("openai-chat", STOP + DONE, "provider"),
        ("openai-chat", said("x") + data(error={"message": "x", "code": 500}), "provider"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_how_a_stream_ended(
    protocol: Protocol, stream: bytes, cause: str | None, size: int
) -> None:
    """In whatever pieces it comes; and none of its bytes is lost or changed."""
    watch = StreamWatch(protocol, now=NOW)
    passed = b"".join(watch.feed(stream[at : at + size]) for at in range(0, len(stream), size))
    failure = watch.end()
    assert (failure and failure.cause) == cause
    if watch.failure is None:
        assert passed + watch.rest == stream


@pytest.mark.parametrize(
    ("silent", "saying"),
    [
        (START + event("ping") + b": wait\n\n" + EMPTY, DELTA),
        (START, TOOL),
        (data(type="response.created", response={"output": []}) + ITEM, OUT),
        (data(choices=[{"index": 0, "delta": {"role": "assistant", "content": ""}}]), said("x")),
        (b"data: [DONE]\n\n", said("x")),
    ],
)
def test_an_answer_begins_with_what_it_says(silent: bytes, saying: bytes) -> None:
    """Until then another profile can be asked."""
    watch = StreamWatch("anthropic", now=NOW)
    assert (watch.feed(silent), watch.began) == (silent, False)
    assert (watch.feed(saying), watch.began) == (saying, True)


def test_a_long_event_is_searched_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []

    class Searched:
        """Notes how many bytes are searched."""

        def finditer(self, held: bytes, at: int = 0) -> Iterator[re.Match[bytes]]:
            looked.append(len(held) - at)
            return END_OF_EVENT.finditer(held, at)

    monkeypatch.setattr(outcome, "_END", Searched())
    watch = StreamWatch("openai-chat")
    for _ in range(1_000):
        watch.feed(b"data: 1234")
    assert sum(looked) < 2 * 10_000


def test_a_cut_stream_leaves_whole_events() -> None:
    watch = StreamWatch("anthropic")
    assert watch.feed(START + DELTA + DELTA[:9]) == START + DELTA
    failure = watch.end(cut=True)
    assert failure is not None and failure.cause == "network"
    assert (watch.began, watch.ended, watch.rest) == (True, False, DELTA[:9])


HEAD = b"HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"


@asynccontextmanager
async def passed_on(
    provide: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]], times: Times
) -> AsyncIterator[tuple[int, list[object]]]:
    """Pass requests on to a provider, in this process; yields the port, and what became of each."""
    became: list[object] = []

    async def pass_on(request: web.BaseRequest) -> web.StreamResponse:
        arrived = Arrived(
            request=request, client="c", route=Route("c", (Link("a"),)), asked=AskedModel(), body=b"",
            meaning=PathMeaning("anthropic", ("anthropic",), "/v1/messages", answers=True),
        )  # fmt: skip
        attempt = Attempt(provider, keys, arrived, candidate, Going(), others=True)
        try:
            got, failure = await attempt.make()
        except ClientGone:
            became.append(ClientGone)
            return web.Response()
        became.append(failure)
        assert isinstance(got, web.StreamResponse)
        return got

    keys = ProfileKeys(lambda _: Secret("k"))
    served = await asyncio.start_server(provide, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{served.sockets[0].getsockname()[1]}/"
    candidate = Candidate(profile=profile("a", anthropic=url), protocol="anthropic", url=url)
    runner = web.ServerRunner(web.Server(pass_on))
    await runner.setup()
    async with served, ProviderSession({}, times) as provider:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield runner.addresses[0][1], became
        await runner.cleanup()


def test_a_stream_that_says_nothing_for_long_is_not_held_for_ever() -> None:
    """The client sees that somebody works on it, and its own time does not run out."""

    async def ask() -> list[bytes]:
        read = asyncio.Event()

        async def provide(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(HEAD + START)
            await read.wait()
            writer.write(DELTA + END)
            writer.close()

        async with (
            passed_on(provide, Times(held_s=0.01)) as (port, became),
            aiohttp.ClientSession() as client,
            client.post(f"http://127.0.0.1:{port}/") as answer,
        ):
            first = await answer.content.readexactly(len(START))
            read.set()
            rest = await answer.read()
            assert became == [None]
            return [first, rest]

    assert asyncio.run(ask()) == [START, DELTA + END]


def test_a_client_that_takes_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """And its provider, of which it would hold a connection."""
    monkeypatch.setattr(attempt_module, "CLIENT_WAITS_S", 0.05)

    async def ask() -> None:
        ended = asyncio.Event()

        async def provide(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(HEAD + START)
            with contextlib.suppress(OSError):
                while True:
                    writer.write(DELTA * 1_000)
                    await writer.drain()
            ended.set()
            writer.close()

        async with passed_on(provide, Times()) as (port, became):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n")
            await ended.wait()
            while not became:  # noqa: ASYNC110 - the connection ends a moment before
                await asyncio.sleep(0.01)
            assert became == [ClientGone]
            writer.close()

    asyncio.run(ask())


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        (b"{}", "provider"),
        (b'{"content": [], "usage": {"input_tokens": 3}}', "provider"),
        (b'{"choices": [{"message": {"role": "assistant", "content": ""}}]}', "provider"),
        (b'{"choices": [{"message": {"role": "assistant", "content": "x"}}]}', None),
        (b'{"content": [{"type": "text", "text": "x"}]}', None),
        (b'{"content": [{"type": "text", "text": ""}]}', "provider"),
        (b'{"output": [{"type": "message", "content": []}]}', "provider"),
        (
            b'{"output": [{"type": "message", "content": [{"type": "output_text", "text": "x"}]}]}',
            None,
        ),
        (b'{"output": [{"type": "function_call", "name": "x"}]}', None),
    ],
)
def test_a_whole_answer_without_content_is_none(body: bytes, cause: str | None) -> None:
    watch = WholeWatch("openai-chat", answers=True)
    watch.feed(body)
    failure = watch.end()
    assert (failure and failure.cause) == cause


def test_a_whole_answer_is_held_but_not_without_bounds() -> None:
    watch = WholeWatch("openai-chat", answers=True)
    body = b'{"choices": [], "usage": {"prompt_tokens": 4, "completion_tokens": 2}}'
    assert (watch.feed(body), watch.began, watch.end(), watch.rest) == (b"", False, None, body)
    assert watch.tokens == TokenCount(input=4, output=2, cached=0)
    long = WholeWatch("openai-chat", answers=True)
    pieces = [b" " * 2**20 for _ in range(20)]
    passed = b"".join(long.feed(each) for each in pieces)
    assert long.began and passed + long.rest == b"".join(pieces) and long.end() is None


@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        ({"input_tokens": 3, "cache_read_input_tokens": 5, "output_tokens": 7}, (8, 7, 5)),
        ({"input_tokens": 3, "cache_creation_input_tokens": 2, "output_tokens": 7}, (5, 7, 0)),
        ({"prompt_tokens": 9, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 4}}, (9, 1, 4)),
        ({"input_tokens": 9, "input_tokens_details": {"cached_tokens": 4}, "output_tokens": 0}, (9, 0, 4)),
        ({}, (None, None, None)),
        ({"input_tokens": "many", "output_tokens": -1}, (None, None, None)),
    ],
)  # fmt: skip
def test_tokens_are_as_the_provider_says(
    usage: dict[str, object], counted: tuple[int | None, ...]
) -> None:
    found = read_tokens(usage)
    assert (found.input, found.output, found.cached) == counted


class Clock:
    """A time that a test moves."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


def test_a_breaker_opens_tries_one_and_closes(tmp_path: Path) -> None:
    clock, path = Clock(), tmp_path / "gateway/breakers.json"
    breakers = Breakers(path, now=clock)
    for _ in range(2):
        breakers.failed("p", OVERLOAD)
    assert breakers.admits("p")
    breakers.failed("p", OVERLOAD)
    assert (breakers.state("p"), breakers.admits("p")) == ("open", False)
    breakers = Breakers(path, now=clock)  # after a restart
    assert breakers.state("p") == "open"
    clock.now += OPEN_FOR
    assert (breakers.state("p"), breakers.admits("p")) == ("half-open", True)
    breakers.begin("p")
    assert not breakers.admits("p")  # one at a time
    clock.now += PROBE_LASTS + OPEN_FOR
    assert breakers.admits("p")  # nobody heard of that one again
    breakers.begin("p")
    assert not breakers.admits("p")
    breakers.failed("p", OVERLOAD)
    assert breakers.health("p").open_until == clock.now + 2 * OPEN_FOR
    clock.now += 2 * OPEN_FOR
    assert not breakers.worked("p", NOW)  # it began before the last failure
    assert breakers.state("p") == "half-open"
    assert breakers.worked("p", breakers.begin("p"))
    assert (breakers.state("p"), breakers.admits("p")) == ("closed", True)
    assert Breakers(path).health("p").failures == 0


def test_a_breaker_never_stays_open_for_long(tmp_path: Path) -> None:
    breakers, clock = Breakers(tmp_path / "x", now=(clock := Clock())), clock
    for _ in range(20):
        breakers.failed("p", OVERLOAD)
        clock.now += LONGEST_OPEN
    assert breakers.admits("p")


def test_a_quota_cools_and_says_nothing_of_health(tmp_path: Path) -> None:
    clock = Clock()
    breakers = Breakers(tmp_path / "b", now=clock)
    until = NOW + timedelta(hours=5)
    for _ in range(9):
        breakers.failed("p", ProviderFailure(cause="quota", until=until))
    assert (breakers.state("p"), breakers.health("p").failures) == ("cooled", 0)
    assert not breakers.worked("p", NOW - timedelta(minutes=1))  # a stream that ran on meanwhile
    assert breakers.state("p") == "cooled"
    clock.now = until
    assert breakers.state("p") == "closed"
    for cause in ("auth", "client"):
        for _ in range(9):
            breakers.failed("p", ProviderFailure(cause=cause))  # type: ignore[arg-type]
        assert breakers.admits("p")
    breakers.failed("p", ProviderFailure(cause="network", begun=True))
    assert not breakers.admits("p")  # who lost an answer comes again at once


def profile(name: str, **endpoints: str) -> Profile:
    found = {key.replace("_", "-"): url for key, url in endpoints.items()}
    return Profile(name=name, key=Reference("env", "K"), endpoints=found)  # type: ignore[arg-type]


def test_whom_to_ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    breakers = Breakers(tmp_path / "b", now=Clock())
    known = {
        "a": profile("a", anthropic="https://a.example/anthropic/"),
        "b": profile("b", anthropic="https://b.example"),
        "chat": profile("chat", openai_chat="https://c.example/v1"),
        "own": Profile(
            name="own", auth="native", endpoints={"anthropic": "https://api.anthropic.com"}
        ),
    }
    meaning = find_meaning("POST", "/anthropic/v1/messages")
    assert meaning is not None

    def names(
        *chain: str, model: str = "m", pinned: bool = False, spent: str = ""
    ) -> list[str] | str:
        links = tuple(Link(*each.split("=")) for each in chain)
        chosen = choose(
            Route("c", links, pinned), meaning, model, profiles=known, breakers=breakers,
            within_limit=lambda name: name != spent,
        )  # fmt: skip
        return chosen.refusal or [each.profile.name for each in chosen.candidates]

    assert names("a", "b") == ["a", "b"]
    assert names("b", "chat", "own", "gone") == ["b"]
    assert "no profile gone" in names("gone", "b")  # the choice is not passed over in silence
    assert names("a", "b", pinned=True) == ["a"]
    assert names("a=opus*", "b", model="opus-4") == ["a", "b"] and names("a=opus*", "b") == ["b"]
    monkeypatch.setattr(translated, "find_spec", lambda _: object())
    assert "names no model" in names("chat") and "sign-in" in names("own")
    monkeypatch.setattr(translated, "find_spec", lambda _: None)
    assert "the extra translate" in names("chat")

    assert names("a", "b", spent="a") == ["b"] and "used up: a" in names("a", spent="a")
    for _ in range(3):
        breakers.failed("a", OVERLOAD)
    assert names("a", "b") == ["b"]
    assert names("a") == ["a"]  # nobody else is left, and its own answer tells more
    found = choose(
        Route("c", (Link("a"),)), meaning, "m", profiles=known, breakers=breakers, within_limit=lambda _: True
    )  # fmt: skip
    assert found.candidates[0].url == "https://a.example/anthropic/v1/messages"


@pytest.mark.parametrize(
    ("path", "tail"),
    [
        ("/openai/v1/responses", "/responses"),
        ("/openai/responses", "/responses"),
        ("/openai/v1/chat/completions", "/chat/completions"),
        ("/anthropic/v1/messages/count_tokens", "/v1/messages/count_tokens"),
        ("/openai/v1/files", None),
        ("/anthropic/../x", None),
        ("/", None),
        ("", None),
    ],
)
def test_paths(path: str, tail: str | None) -> None:
    found = find_meaning("POST", path)
    assert (found and found.tail) == tail
    assert find_meaning("GET", "/openai/v1/models/glm-5.2") is not None
    assert find_meaning("GET", "/openai/v1/models/..") is None


def test_models_are_those_of_the_profile() -> None:
    assert map_model("claude-opus", model="big", small_model="mini") == "big"
    assert map_model("claude-haiku-4", model="big", small_model="mini") == "mini"
    assert map_model("claude-haiku-4", model="big", small_model=None) == "big"
    assert map_model("mini", model="big", small_model="mini") == "mini"
    assert map_model("opus", model=None, small_model=None) == "opus"
    body = b'{"a":{"model":"x"}, "t":"\\"model\\":\\"x\\"",  "model" : "x","n":1.0}'
    assert replace_model(body, "x", "y") == body.replace(b'"model" : "x"', b'"model" : "y"')


def test_errors_are_in_the_words_of_the_protocol() -> None:
    assert json.loads(error_body("anthropic", 429, "m", "c"))["error"] == {
        "type": "rate_limit_error",
        "message": "m",
    }
    assert json.loads(error_body("openai", 503, "m", "c"))["error"]["type"] == "server_error"


PROXY = "http://proxy.example:3128"


@pytest.mark.parametrize(
    ("url", "environ", "proxy"),
    [
        ("https://api.example/v1", {"HTTPS_PROXY": PROXY}, PROXY),
        ("https://api.example/v1", {"all_proxy": "proxy.example:3128"}, PROXY),
        ("https://api.example/v1", {"HTTPS_PROXY": PROXY, "NO_PROXY": ".example"}, None),
        ("https://api.example/v1", {"HTTP_PROXY": PROXY}, None),
        ("http://127.0.0.1:9/v1", {"HTTP_PROXY": PROXY, "NO_PROXY": ""}, None),
        ("http://[::1]:9/v1", {"all_proxy": PROXY}, None),
    ],
)
def test_proxies_are_those_of_the_environment_and_never_for_this_machine(
    url: str, environ: dict[str, str], proxy: str | None
) -> None:
    assert find_proxy(url, environ) == proxy


def test_a_damaged_file_leaves_nothing_of_what_it_said(tmp_path: Path) -> None:
    """Else requests would go on to a provider that is not chosen any more."""
    path = tmp_path / "routes.json"
    good = '{"c": {"chain": [{"profile": "a", "models": "*", "directory": ""}]}}'
    known = FromFiles[Routes](lambda: (path,), lambda: read_routes(path), {})
    for text, clients in ((good, ["c"]), (good[:-1], []), (good, ["c"])):
        path.write_text(text)
        assert list(known.get()) == clients


def test_a_proxy_that_speaks_no_http_is_refused() -> None:
    with pytest.raises(UnusableProxy, match="socks5"):
        find_proxy("https://api.example/v1", {"ALL_PROXY": "socks5://proxy.example:1080"})


def test_a_request_is_sent_again_only_where_its_connection_was_kept() -> None:
    """Else a provider that took it would be paid twice."""
    answers = [b"", b"HTTP/1.1 200 X\r\ncontent-length: 0\r\n\r\n", b"", b""]
    served: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while answer := answers[len(served)]:
            await reader.readuntil(b"\r\n\r\n")
            served.append(answer)
            writer.write(answer)
        await reader.readuntil(b"\r\n\r\n")
        served.append(answer)
        writer.close()

    async def ask() -> list[int]:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        counts = []
        async with server, ProviderSession({}, Times()) as provider:
            for fails in (True, False, True):
                try:
                    (await provider.ask("POST", url, {}, b"")).release()
                    assert not fails
                except aiohttp.ServerDisconnectedError:
                    assert fails
                counts.append(len(served))
        return counts

    assert asyncio.run(ask()) == [1, 2, 4]


def test_a_switch_is_no_return() -> None:
    events: list[str] = []

    class Kept:
        """Notes what events there are."""

        def record(self, what: str, *_: object, **_more: object) -> None:
            events.append(what)

    async def serve() -> None:
        notes = GatewayNotes(Kept(), lambda _: None)
        for first, profile_ in (("a", "a"), ("b", "b"), ("b", "c"), ("b", "b")):
            notes.served("client", profile_, first=first, why="")
            await notes.close()

    asyncio.run(serve())
    assert events == ["gateway.fallback", "gateway.return"]


def test_a_key_is_read_once_for_its_endpoint() -> None:
    asked: list[Reference] = []

    def resolve(reference: Reference) -> Secret:
        asked.append(reference)
        return Secret(f"key{len(asked)}")

    async def ask(keys: ProfileKeys) -> list[str]:
        one = profile("a", anthropic="https://a.example")
        found = [await keys.get(one, "https://a.example/x") for _ in range(3)]
        found.append(await keys.get(one, "https://b.example"))
        keys.forget("a")
        found.append(await keys.get(one, "https://b.example"))
        return [each.reveal() for each in found]

    assert asyncio.run(ask(ProfileKeys(resolve))) == ["key1", "key1", "key1", "key2", "key3"]


def use(profile_: str = "p", **more: object) -> UseRecord:
    values = {"at": NOW, "client": "c", "profile": profile_, "protocol": "anthropic", "model": "m",
              "sent_model": "m", "status": 200, "total_ms": 10.0, "input": 7, "output": 3} | more  # fmt: skip
    return UseRecord(**values)  # type: ignore[arg-type]


def test_records_are_kept_within_bounds_and_summed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "MAX_ROWS", 5)
    monkeypatch.setattr(records, "_TRIM_EVERY", 8)
    with UseLog(tmp_path) as log:
        for number in range(9):
            log.add(use(cause="overload" if number == 8 else "", first_ms=float(number)))
    rows = read_records(tmp_path, limit=100)
    assert rows[-1].cause == "overload" and rows[-1].at == NOW and len(rows) <= 9
    [total] = sum_use(tmp_path, since=NOW - timedelta(days=1))
    assert (total.profile, total.failures, total.input) == ("p", 1, 7 * len(rows))
    today = NOW.astimezone().date()
    assert use_of_day(tmp_path, today) == {"p": DayUse(10 * len(rows), 0.0)}
    assert read_records(tmp_path, after=rows[-2].id, limit=9) == rows[-1:]
    assert (tmp_path / records.NAME).stat().st_mode & 0o077 == 0
    assert read_records(tmp_path / "none", limit=9) == []
    (tmp_path / records.NAME).write_bytes(b"damaged")
    assert read_records(tmp_path, limit=9) == []


@pytest.mark.parametrize(
    ("url", "more", "cost"),
    [
        # 3 dollars a million, 0.3 for those from the cache, 15 for those of the answer
        ("https://api.anthropic.com/v1/messages", {}, 0.00396),
        ("https://mirror.example/api.anthropic.com/v1/messages", {}, None),
        ("http://127.0.0.1:8000/v1/messages", {}, None),
        ("https://api.anthropic.com/v1/messages", {"sent_model": "nobody-knows"}, None),
        ("https://api.anthropic.com/v1/messages", {"cached": 2_000}, None),
        ("https://api.anthropic.com/v1/messages", {"input": None, "output": None}, None),
    ],
)
def test_the_price_is_that_of_the_address_or_none(
    url: str, more: dict[str, object], cost: float | None
) -> None:
    values = {
        "sent_model": "claude-sonnet-4-5",
        "input": 1_000,
        "cached": 200,
        "output": 100,
    } | more
    assert price_of(use(**values), url) == (cost and pytest.approx(cost))


def test_costs_are_kept_summed_and_told_also_in_a_file_from_before(tmp_path: Path) -> None:
    with UseLog(tmp_path) as log:
        log.add(use())
    with closing(sqlite3.connect(tmp_path / records.NAME)) as database, database:
        database.execute("ALTER TABLE requests DROP COLUMN cost")
    told: list[float | None] = []
    with UseLog(
        tmp_path, lambda _, url: float(url or 0) or None, lambda r: told.append(r.cost)
    ) as log:
        log.add(use(), "0.5")
        log.add(use(), "0.25")
        log.add(use(input=None, output=None))
    assert told == [0.5, 0.25, None]
    [total] = sum_use(tmp_path, since=NOW - timedelta(days=1))
    assert (total.cost, total.unpriced, total.requests) == (0.75, 1, 4)
    assert use_of_day(tmp_path, NOW.astimezone().date()) == {"p": DayUse(30, 0.75)}
    [sample] = samples_of(read_records(tmp_path, limit=9))
    assert sample.figures["cost_usd"] == 0.75


def test_the_daemon_gets_a_sample_for_each_profile() -> None:
    rows = [use(first_ms=4.0), use(cause="quota"), use("q"), use("", cause="client")]
    first, second = samples_of(rows)
    assert (first.source, first.text, second.source) == ("gateway p", "degraded", "gateway q")
    assert first.figures["requests"] == 2 and first.figures["error_count"] == 1
    assert first.figures["input_tokens"] == 14 and first.figures["first_byte_ms"] == 4.0
