"""The gateway as a process, between clients and providers that fail in every way; each test has profiles of its own."""

import asyncio
import json
import signal
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psutil
import pytest

from mahavishnu.gateway.places import breakers_in
from mahavishnu.gateway.records import UseLog, UseRecord
from tests.support.daemon import wait_until
from tests.support.gateway import (
    DELTA,
    END,
    GOOD,
    KEY,
    REQUEST,
    START,
    Exchange,
    Gateway,
    Providers,
    answers,
    error,
    event,
    gateway,
    providers,
    sends,
)

DEAD_PROXY = {
    "HTTP_PROXY": "http://127.0.0.1:9",
    "http_proxy": "http://127.0.0.1:9",
    "NO_PROXY": "",
}
PROMPT = "a prompt that nobody keeps"
UNPAID = event("message_delta", usage={"output_tokens": 0}) + event("message_stop")


@pytest.fixture(scope="module")
def found() -> Iterator[Providers]:
    with providers() as served:
        yield served


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, found: Providers) -> Iterator[Gateway]:
    """One for all tests, with proxies in its environment that nobody may be sent through."""
    home = tmp_path_factory.mktemp("gateway")
    values = {
        "limits.limited.daily_tokens": 20,
        "limits.dear.daily_cost": 1.5,
        "max_body": 1_000_000,
    }
    words = [
        word for name, value in values.items() for word in ("--set", f"gateway.{name}={value}")
    ]
    with UseLog(home / "state/gateway", lambda *_: 1.5) as log:  # what was used earlier today
        log.add(
            UseRecord(
                at=datetime.now(UTC), client="c", profile="dear", protocol="anthropic", model="m",
                sent_model="m", status=200, total_ms=1.0, input=1, output=1,
            )
        )  # fmt: skip
    with gateway(home, found, *words, environ=DEAD_PROXY) as running:
        yield running


async def hangs_up(exchange: Exchange) -> None:
    exchange.writer.close()


def test_bytes_pass_as_they_are(run: Gateway, found: Providers) -> None:
    """Both ways, but for the model, the credentials, and headers that are nobody else's."""
    run.profile("faithful", model="glm-5", small_model="glm-mini")
    run.route("faithful", "faithful")
    odd = [
        START,
        b": comment\n\n",
        b'event: ping\r\ndata: {"type": "ping"}\r\n\r\n',
        DELTA[:20],
        DELTA[20:],
        END,
    ]
    found.behave["faithful"] = sends(*odd)
    body = b'{ "metadata": {"model": "inner"},\n "model":"opus", "stream" : true, "messages":[{"n": 1.50}] }'
    with run.http("faithful") as http:
        answer = http.post(
            "/anthropic/v1/messages?beta=true&x=a%26b%2Bc+d",
            content=body,
            headers={
                "cookie": "c=1",
                "anthropic-beta": "a,b",
                "x-stainless-timeout": "30",
                "x-other": "1",
            },
        )
    assert answer.content == b"".join(odd)
    [asked] = found.asked("faithful")
    assert (
        asked.body == body.replace(b'"opus"', b'"glm-5"')
        and asked.path == "/v1/messages?beta=true&x=a%26b%2Bc+d"
    )
    assert (
        asked.headers["authorization"] == f"Bearer {KEY}"
        and asked.headers["anthropic-beta"] == "a,b"
    )
    assert not asked.headers.keys() & {"cookie", "x-other", "x-api-key"}
    record = run.record("faithful")
    assert (record.model, record.sent_model, record.cause) == ("opus", "glm-5", "")
    assert (record.input, record.output, record.status) == (10, 5, 200)


def test_a_key_and_headers_of_answers(run: Gateway, found: Providers) -> None:
    run.profile("headed", key_header="x-api-key")
    run.route("headed", "headed")
    found.behave["headed"] = answers(
        200, {"content": ["x"], "usage": {"input_tokens": 3}}, request_id="r", set_cookie="c=1",
        anthropic_ratelimit_requests_remaining="7", x_internal="1",
    )  # fmt: skip
    answer = run.ask("headed", stream=False)
    assert found.asked("headed")[0].headers["x-api-key"] == KEY
    assert "authorization" not in found.asked("headed")[0].headers
    assert answer.headers["request-id"] == "r"
    assert answer.headers["anthropic-ratelimit-requests-remaining"] == "7"
    assert not answer.headers.keys() & {"set-cookie", "x-internal"}


@pytest.mark.parametrize("number", range(16))
def test_before_the_first_byte_the_next_profile_is_asked(
    run: Gateway, found: Providers, number: int
) -> None:
    overloaded = event("error", error={"type": "overloaded_error", "message": "Overloaded"})
    behave, cause = [
        (answers(429, error("rate_limit_error"), retry_after="60"), "quota"),
        (answers(402, error("billing_error")), "quota"),
        (answers(529, error("overloaded_error")), "overload"),
        (answers(400, error("invalid_request_error", "The service is overloaded")), "overload"),
        (answers(500, error("api_error")), "provider"),
        (answers(307, b"", location="http://127.0.0.1:9/"), "provider"),
        (answers(200, {"code": 1113, "message": "Insufficient balance"}), "quota"),
        (hangs_up, "network"),
        (sends(overloaded), "overload"),
        (sends(START + overloaded), "overload"),
        (sends(), "provider"),
        (sends(ends=False), "network"),
        (sends(START + event("ping") + UNPAID), "provider"),
        (sends(START, UNPAID, ends=False), "provider"),
        (sends(START), "provider"),
        (answers(200, {"content": [], "usage": {"output_tokens": 0}}), "provider"),
    ][number]
    first, second = f"first{number}", f"second{number}"
    run.profile(first), run.profile(second)
    run.route(first, first, second)
    found.behave[first] = behave
    answer = run.ask(first)
    assert (answer.status_code, answer.content) == (200, GOOD)
    record = run.record(first)
    assert (record.profile, record.cause, record.moved_from) == (second, "", f"{first}:{cause}")


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "https://no-such-host.invalid"])
def test_who_cannot_be_reached_is_passed_over(run: Gateway, url: str) -> None:
    name = "dead" if "127" in url else "unknown"
    run.profile(name, url), run.profile("alive")
    run.route(name, name, "alive")
    assert run.ask(name).content == GOOD
    assert run.record(name).moved_from == f"{name}:network"


@pytest.mark.parametrize(
    ("status", "kind", "cause"),
    [
        (401, "authentication_error", "auth"),
        (403, "permission_error", "auth"),
        (400, "invalid_request_error", "client"),
    ],
)
def test_a_refused_key_and_the_clients_own_error_go_nowhere_else(
    run: Gateway, found: Providers, status: int, kind: str, cause: str
) -> None:
    client = f"own{status}"
    other = f"other{status}"
    run.profile(client, openai_responses_base_url=f"{found.url}/{client}"), run.profile(other)
    run.route(client, client, other)
    found.behave[client] = answers(status, error(kind), x_should_retry="true")
    answer = run.ask(client)
    assert (answer.status_code, answer.json()) == (status, error(kind))
    assert not found.asked(other)
    assert (run.record(client).cause, run.record(client).moved_from) == (cause, "")
    assert answer.headers.get("x-should-retry") == ("false" if cause == "auth" else "true")
    if cause == "auth":
        with run.http(client) as http:
            answer = http.post("/openai/v1/responses", json=REQUEST)
        assert (answer.status_code, answer.json()) == (400, error(kind))  # or Codex asks again
        wait_until(lambda: any(client in (each["after"] or "") for each in run.events()))


def test_a_pinned_route_stays(run: Gateway, found: Providers) -> None:
    run.profile("pinned"), run.profile("spare")
    run.route("pinned", "pinned", "spare", pinned=True)
    found.behave["pinned"] = answers(529, error("overloaded_error"))
    assert [run.ask("pinned").status_code for _ in range(5)] == [529] * 5
    assert len(found.asked("pinned")) == 5 and not found.asked("spare")


@pytest.mark.parametrize("number", range(4))
def test_a_stream_that_fails_ends_so_that_the_client_asks_again_elsewhere(
    run: Gateway, found: Providers, number: int
) -> None:
    fault = event("error", error={"type": "api_error", "message": "Internal"})
    went_on = threading.Event()

    async def fails(exchange: Exchange) -> None:
        await exchange.begin()
        await exchange.chunk(START + DELTA)
        while not went_on.is_set():  # noqa: ASYNC110 - until the client, in another thread, has that
            await asyncio.sleep(0.01)
        if number == 0:
            await exchange.chunk(DELTA[:30])
            exchange.writer.close()
        elif number == 1:
            await exchange.chunk(DELTA[:30])
            exchange.writer.write_eof()
            await exchange.reader.read()
        else:
            await exchange.chunk(fault if number == 2 else DELTA)
            await exchange.end()

    cause = "network" if number < 2 else "provider"
    name, spare = f"broken{number}", f"next{number}"
    run.profile(name), run.profile(spare)
    run.route(name, name, spare)
    found.behave[name] = fails
    with (
        run.http(name) as http,
        http.stream("POST", "/anthropic/v1/messages", json=REQUEST) as answer,
    ):
        pieces = answer.iter_raw()
        assert next(pieces) == START + DELTA
        went_on.set()
        rest = b"".join(pieces)
    assert rest.removeprefix(DELTA).startswith(b"event: error\n")
    said = json.loads(rest.rpartition(b"data: ")[2])
    assert said["error"]["type"] == "overloaded_error" and name in said["error"]["message"]
    assert run.record(name).cause == cause
    assert run.ask(name).content == GOOD and len(found.asked(name)) == 1
    moved = {"what": "gateway.fallback", "before": name, "result": "failed"}
    wait_until(lambda: any(moved.items() <= each.items() for each in run.events()))


def test_a_stream_that_said_its_length_and_broke_off_ends_for_the_client(
    run: Gateway, found: Providers
) -> None:
    run.profile("measured")
    run.route("measured", "measured")

    async def breaks_off(exchange: Exchange) -> None:
        head = b"HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\ncontent-length: 9999\r\n\r\n"
        await exchange.send(head + START + DELTA)
        exchange.writer.close()

    found.behave["measured"] = breaks_off
    answer = run.ask("measured")
    assert answer.content.startswith(START + DELTA + b"event: error\n")


def test_counting_tokens_says_nothing_of_the_models_health(run: Gateway, found: Providers) -> None:
    run.profile("counting"), run.profile("counted")
    run.route("counting", "counting", "counted")

    async def counts_alone(exchange: Exchange) -> None:
        counts = exchange.path.endswith("count_tokens")
        await exchange.answer(200 if counts else 500, {"input_tokens": 1} if counts else {})

    found.behave["counting"] = counts_alone
    for number in range(4):
        assert run.ask("counting").content == GOOD
        if number == 1:
            with run.http("counting") as http:
                assert http.post("/anthropic/v1/messages/count_tokens", json=REQUEST).is_success
    assert len(found.asked("counting")) == 4  # three of messages, which open its breaker


def test_a_limit_of_counting_tokens_leaves_the_messages_alone(
    run: Gateway, found: Providers
) -> None:
    run.profile("slow-count"), run.profile("quick-count")
    run.route("slow-count", "slow-count", "quick-count")

    async def limits_counting(exchange: Exchange) -> None:
        if exchange.path.endswith("count_tokens"):
            await exchange.answer(429, error("rate_limit_error"), retry_after="3600")
        else:
            await sends(START, DELTA, END)(exchange)

    found.behave["slow-count"] = limits_counting
    found.behave["quick-count"] = answers(200, {"input_tokens": 7})
    with run.http("slow-count") as http:
        counted = http.post("/anthropic/v1/messages/count_tokens", json=REQUEST)
    assert counted.json() == {"input_tokens": 7}
    assert run.ask("slow-count").content == GOOD
    assert run.record("slow-count", 2).profile == "slow-count"


def test_odd_counts_of_tokens_are_not_believed_and_stay_with_who_counted(
    run: Gateway, found: Providers
) -> None:
    run.profile("boastful"), run.profile("modest")
    run.route("boastful", "boastful", "modest")
    much = START.replace(b"10", b"9" * 20)
    found.behave["boastful"] = sends(much, DELTA, END)
    assert run.ask("boastful").is_success
    assert run.record("boastful").input is None
    found.behave["boastful"] = sends(START, event("error", error={"type": "overloaded_error"}))
    found.behave["modest"] = sends(DELTA, event("message_stop"))
    assert run.ask("boastful").is_success
    record = run.record("boastful", 2)
    assert (record.profile, record.input, record.output) == ("modest", None, None)


@pytest.mark.parametrize("pieces", [(START, END), (START, b"data: {no json\n\n", DELTA, END)])
def test_an_empty_answer_and_one_that_is_no_json_are_failures(
    run: Gateway, found: Providers, pieces: tuple[bytes, ...]
) -> None:
    """Of the only profile, the client gets the provider's own answer."""
    name = f"odd{len(pieces)}"
    run.profile(name)
    run.route(name, name)
    sent = [each.replace(END, UNPAID) for each in pieces]
    found.behave[name] = sends(*sent)
    assert run.ask(name).content == b"".join(sent)
    assert run.record(name).cause == "provider"


def test_a_switch_shows_at_the_next_request(run: Gateway, found: Providers) -> None:
    """A route, a profile's address, and a key that was refused are read again."""
    run.profile("before"), run.profile("after"), run.profile("moved")
    run.route("switching", "before")
    with run.http("switching") as http:
        for name in ("before", "after", "moved"):
            if name == "after":
                run.route("switching", "after")
            elif name == "moved":
                run.profile("after", f"{found.url}/moved")
            asked = len(found.asked(name))
            assert http.post("/anthropic/v1/messages", json=REQUEST).content == GOOD
            assert len(found.asked(name)) == asked + 1


def test_a_key_that_was_replaced_is_read_again(
    run: Gateway, found: Providers, tmp_path: Path
) -> None:
    kept = tmp_path / "key"
    kept.write_text("mahavishnu-gateway-old")
    kept.chmod(0o600)
    run.profile("rotated", key=f"gateway:{kept}")  # of all stores, the one that needs no program
    run.route("rotated", "rotated")

    async def takes_new(exchange: Exchange) -> None:
        new = exchange.headers["authorization"] == "Bearer mahavishnu-gateway-new"
        await (sends(GOOD) if new else answers(401, error("authentication_error")))(exchange)

    assert run.ask("rotated").content == GOOD
    kept.write_text("mahavishnu-gateway-new")
    found.behave["rotated"] = takes_new
    assert run.ask("rotated").content == GOOD
    assert run.record("rotated", 2).cause == ""


def test_events_pass_while_the_provider_still_speaks_and_a_client_that_goes_ends_it(
    run: Gateway, found: Providers
) -> None:
    run.profile("slow")
    run.route("slow", "slow")

    async def waits(exchange: Exchange) -> None:
        await exchange.begin()
        await exchange.chunk(START + DELTA)
        await exchange.reader.readexactly(1)  # until who asks has gone

    found.behave["slow"] = waits
    with (
        run.http("slow") as http,
        http.stream("POST", "/anthropic/v1/messages", json=REQUEST) as answer,
    ):
        assert next(answer.iter_raw()) == START + DELTA
    wait_until(lambda: "slow" in found.gone)
    record = run.record("slow")
    assert (record.cause, record.input) == ("gone", 10)


def test_a_client_that_does_not_read_holds_the_provider_back(
    run: Gateway, found: Providers
) -> None:
    run.profile("pushing")
    run.route("pushing", "pushing")
    sent, piece, times = [0], DELTA * 1_000, 600

    async def pushes(exchange: Exchange) -> None:
        await exchange.begin()
        await exchange.chunk(START)
        for _ in range(times):
            await exchange.chunk(piece)
            sent[0] += len(piece)
        await exchange.chunk(END)
        await exchange.end()

    found.behave["pushing"] = pushes
    with (
        run.http("pushing") as http,
        http.stream("POST", "/anthropic/v1/messages", json=REQUEST) as answer,
    ):
        before = -1
        while sent[0] != before:  # as long as anything still moves
            before = sent[0]
            time.sleep(0.3)
        assert 0 < sent[0] < times * len(piece) / 2
        size = sum(len(each) for each in answer.iter_raw())
    assert size == len(START) + times * len(piece) + len(END)


def test_two_hundred_streams_at_once_are_all_whole_and_memory_is_bounded(
    run: Gateway, found: Providers
) -> None:
    run.profile("many")
    run.route("many", "many")
    count, arrived = 200, [0]

    async def waits_for_all(exchange: Exchange) -> None:
        arrived[0] += 1
        await exchange.begin()
        await exchange.chunk(START)
        while arrived[0] < count:  # noqa: ASYNC110 - of another thread's requests
            await asyncio.sleep(0.02)
        for _ in range(20):
            await exchange.chunk(DELTA)
        await exchange.chunk(END)
        await exchange.end()

    found.behave["many"] = waits_for_all
    before = psutil.Process(run.process.pid).memory_info().rss

    async def ask_all() -> list[httpx.Response]:
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{run.port}", headers=run.headers("many"), timeout=300, trust_env=False,
            limits=httpx.Limits(max_connections=count),
        ) as http:  # fmt: skip
            asks = (http.post("/anthropic/v1/messages", json=REQUEST) for _ in range(count))
            return await asyncio.gather(*asks)

    answers_ = asyncio.run(ask_all())
    assert {each.content for each in answers_} == {START + DELTA * 20 + END}
    assert psutil.Process(run.process.pid).memory_info().rss - before < 200 * 2**20


def test_who_has_no_token_and_pages_get_nothing(run: Gateway, found: Providers) -> None:
    run.profile("guarded")
    run.route("guarded", "guarded")
    token = run.headers("guarded")
    base = f"http://127.0.0.1:{run.port}"
    with httpx.Client(base_url=base, trust_env=False) as http:
        ask = "/anthropic/v1/messages"
        assert http.post(ask, json=REQUEST).status_code == 401
        assert (
            http.post(ask, json=REQUEST, headers={"authorization": "Bearer x"}).json()["type"]
            == "error"
        )
        assert (
            http.post(ask, json=REQUEST, headers=token | {"host": "evil.example"}).status_code
            == 421
        )
        assert (
            http.post(
                ask, json=REQUEST, headers=token | {"origin": "https://x.example"}
            ).status_code
            == 403
        )
        assert http.post("/openai/v1/responses", json=REQUEST, headers=token).status_code == 400
        assert http.post("/anthropic/v1/files", json=REQUEST, headers=token).status_code == 404
        large = http.post(ask, content=b"x" * 1_000_001, headers=token)
        assert (large.status_code, large.json()["error"]["type"]) == (413, "request_too_large")
        assert http.post(ask, content=b"no json", headers=token).status_code == 400
        deep = b'{"model": "m", "x": ' + b"[" * 100_000
        assert http.post(ask, content=deep, headers=token).status_code == 400
        assert http.head("/anthropic/api/hello").status_code == 200
        key = token["authorization"].removeprefix("Bearer ")
        assert http.post(ask, json=REQUEST, headers={"x-api-key": key}).content == GOOD
    assert len(found.asked("guarded")) == 1


def test_the_limit_of_a_day_refuses_in_the_words_of_the_protocol(run: Gateway) -> None:
    run.profile("limited"), run.profile("unlimited")
    run.route("limited", "limited")
    assert run.ask("limited").content == GOOD  # 15 tokens
    assert run.ask("limited").content == GOOD
    answer = run.ask("limited")
    assert (answer.status_code, answer.headers["x-should-retry"]) == (429, "false")
    assert answer.json()["error"]["type"] == "rate_limit_error"
    run.route("limited", "limited", "unlimited")
    assert run.ask("limited").content == GOOD
    assert run.record("limited", 3).profile == "unlimited"


def test_the_dollars_of_a_day_are_a_limit_too(run: Gateway) -> None:
    run.profile("dear"), run.profile("cheap")
    run.route("dear", "dear")
    assert run.ask("dear").status_code == 429
    run.route("dear", "dear", "cheap")
    assert run.ask("dear").content == GOOD and run.record("dear").profile == "cheap"
    [told] = [each for each in run.events() if each["what"] == "gateway.limit"][-1:]
    assert "dear" in told["after"]


def test_no_text_and_no_key_is_kept(run: Gateway) -> None:
    run.profile("secretive")
    run.route("secretive", "secretive")
    run.ask("secretive", messages=[{"role": "user", "content": PROMPT}])
    run.record("secretive")
    token = run.headers("secretive")["authorization"].removeprefix("Bearer ")
    for path in run.state.rglob("*"):
        if path.is_file():
            text = path.read_bytes()
            assert KEY.encode() not in text and PROMPT.encode() not in text, path
            assert token.encode() not in text or path.parent.name == "tokens", path


def test_who_hangs_is_given_up(tmp_path: Path, found: Providers) -> None:
    """Takes the 2 s that the gateway is told to wait: less, and a busy machine would be given up too."""
    words = ("--set", "gateway.first_timeout=2", "--set", "gateway.event_timeout=2")

    async def says_nothing(exchange: Exchange) -> None:
        await exchange.reader.read()

    async def stops(exchange: Exchange) -> None:
        await exchange.begin()
        await exchange.chunk(START + DELTA)
        await exchange.reader.read()

    async def stops_after_its_head(exchange: Exchange) -> None:
        await exchange.begin()
        await exchange.reader.read()

    async def stops_before_it_says_anything(exchange: Exchange) -> None:
        await exchange.begin()
        await exchange.chunk(START)
        await exchange.reader.read()

    found.behave |= {
        "silent": says_nothing, "stopping": stops, "headed": stops_after_its_head,
        "begun": stops_before_it_says_anything,
    }  # fmt: skip
    names = ("silent", "headed", "begun", "stopping")
    with gateway(tmp_path, found, *words) as running:
        running.profile("awake")
        for name in names:
            running.profile(name)
            running.route(name, name, "awake")
        answers_: dict[str, bytes] = {}

        def ask(client: str) -> None:
            answers_[client] = running.ask(client).content

        threads = [threading.Thread(target=ask, args=(name,)) for name in names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert answers_["silent"] == answers_["headed"] == answers_["begun"] == GOOD
        assert answers_["stopping"].startswith(START + DELTA + b"event: error\n")
        assert running.record("stopping").cause == "network"


def test_a_restart_forgets_no_breaker_and_lets_requests_end(
    tmp_path: Path, found: Providers
) -> None:
    """Two starts of the process, which alone can show what outlives one."""
    go = threading.Event()

    async def holds(exchange: Exchange) -> None:
        await exchange.begin()
        await exchange.chunk(START + DELTA)
        while not go.is_set():  # noqa: ASYNC110 - of another thread
            await asyncio.sleep(0.02)
        await exchange.chunk(END)
        await exchange.end()

    found.behave |= {"down": answers(529, error("overloaded_error")), "holding": holds}
    with gateway(tmp_path, found) as running:
        for name in ("down", "up", "holding"):
            running.profile(name)
        running.route("restarted", "down", "up")
        running.route("holding", "holding")
        for _ in range(4):
            assert running.ask("restarted").content == GOOD
        assert len(found.asked("down")) == 3
        with (
            running.http("holding") as http,
            http.stream("POST", "/anthropic/v1/messages", json=REQUEST) as answer,
        ):
            pieces = answer.iter_raw()
            assert next(pieces) == START + DELTA
            running.process.send_signal(signal.SIGTERM)
            wait_until(lambda: _is_closed(running.port))
            go.set()
            assert b"".join(pieces) == END
        assert running.process.wait(60) == 0
    with gateway(tmp_path, found) as running:
        assert running.ask("restarted").content == GOOD
        assert len(found.asked("down")) == 3


def test_what_outlasts_the_gateway_ends_in_the_words_of_its_protocol(
    tmp_path: Path, found: Providers
) -> None:
    """So that each client asks again, as after a provider that broke off; no provider is blamed."""
    said = {
        "messages": START + DELTA,
        "responses": b'data: {"type": "response.output_text.delta", "delta": "x"}\n\n',
        "chat": b'data: {"choices": [{"delta": {"content": "x"}}]}\n\n',
        "silent": b"",
    }
    paths = {"responses": "/openai/v1/responses", "chat": "/openai/v1/chat/completions"}

    async def stays(exchange: Exchange) -> None:
        if first := said[exchange.profile]:
            await exchange.begin()
            await exchange.chunk(first)
        await exchange.reader.read()

    async def ask(http: httpx.AsyncClient, name: str, began: asyncio.Event) -> httpx.Response:
        path = paths.get(name, "/anthropic/v1/messages")
        async with http.stream("POST", path, json=REQUEST, headers=running.headers(name)) as answer:
            began.set()
            await answer.aread()
            return answer

    async def ask_all() -> dict[str, object]:
        base = f"http://127.0.0.1:{running.port}"
        async with httpx.AsyncClient(base_url=base, timeout=60, trust_env=False) as http:
            began = {name: asyncio.Event() for name in said}
            asks = [asyncio.create_task(ask(http, name, began[name])) for name in said]
            for name in ("messages", "responses", "chat"):
                await began[name].wait()
            while not found.asked("silent"):  # noqa: ASYNC110 - of another thread
                await asyncio.sleep(0.01)
            running.process.send_signal(signal.SIGTERM)
            got = await asyncio.gather(*asks, return_exceptions=True)
        return dict(zip(said, got, strict=True))

    found.behave |= dict.fromkeys(said, stays)
    with gateway(tmp_path, found, "--set", "gateway.drain_timeout=0") as running:
        for name in said:
            url = f"{found.url}/{name}"
            running.profile(name, openai_responses_base_url=url, openai_chat_base_url=url)
            running.route(name, name)
        got = asyncio.run(ask_all())
        assert running.process.wait(60) == 0
        for name in said:
            assert running.record(name).cause == "gone"
        assert not breakers_in(running.state).exists()
    messages, responses, silent = got["messages"], got["responses"], got["silent"]
    assert isinstance(messages, httpx.Response) and isinstance(responses, httpx.Response)
    assert messages.content.startswith(said["messages"] + b"event: error\n")
    assert b"overloaded_error" in messages.content
    assert responses.content.startswith(said["responses"] + b"event: response.failed\n")
    assert isinstance(got["chat"], httpx.TransportError)
    assert isinstance(silent, httpx.Response)
    assert (silent.status_code, silent.headers["x-should-retry"]) == (503, "true")


def _is_closed(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) != 0
