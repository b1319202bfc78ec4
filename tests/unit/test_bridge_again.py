"""The stdio bridge sends a message again where that helps, and tells the client where it does not."""

import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from mahavishnu.base.errors import Forbidden, MahavishnuError, NotFound, Unavailable
from mahavishnu.interfaces.stdio import bridge
from mahavishnu.interfaces.stdio.bridge import Bridge
from mahavishnu.interfaces.stdio.lines import Overlong

ASKED = b'{"jsonrpc": "2.0", "id": 7, "method": "tools/list"}'
ANSWER = b'{"jsonrpc": "2.0", "id": 1, "result": {"tools": []}}'


class Reply:
    def __init__(self, status_code: int, body: bytes, kind: str = "application/json") -> None:
        self.status_code = status_code
        self.headers: Mapping[str, str] = {"content-type": kind}
        self._body = body

    async def aiter_bytes(self) -> AsyncIterator[bytes]:
        yield self._body


class Scripted:
    """Endpoints that answer as they are told, the last way for ever."""

    def __init__(self, *outcomes: Reply | Exception) -> None:
        self.outcomes = list(outcomes)
        self.asked = 0

    @contextlib.asynccontextmanager
    async def post(self, body: bytes, headers: Mapping[str, str]) -> AsyncIterator[Reply]:
        self.asked += 1
        outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        if isinstance(outcome, Exception):
            raise outcome
        yield outcome


async def said(endpoints: Any, line: bytes | Overlong = ASKED) -> list[dict[str, Any]]:
    lines: list[bytes] = []

    async def write(line: bytes) -> None:
        lines.append(line)

    await Bridge(endpoints, write).handle(line)
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize(
    "first",
    [
        Reply(401, b'{"error": {"code": "http.unauthorized"}}'),
        Reply(429, b'{"error": {"code": "http.too_many"}}'),
        Reply(200, b""),
        Unavailable("gone", code="daemon.unreachable"),
    ],
    ids=["the token was replaced", "too many", "cut off", "restarted"],
)
async def test_what_may_be_otherwise_in_a_moment_is_tried_again(first: Reply | Exception) -> None:
    endpoints = Scripted(first, first, Reply(200, ANSWER))
    assert await said(endpoints) == [{"jsonrpc": "2.0", "id": 7, "result": {"tools": []}}]
    assert endpoints.asked == 3


async def test_what_lasts_is_told_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bridge, "RETRY_FOR_S", 0.05)
    monkeypatch.setattr(bridge, "RETRY_PAUSE_S", 0.01)
    told = (await said(Scripted(Unavailable("gone", code="daemon.unreachable"))))[0]
    assert told["id"] == 7 and told["error"]["data"] == {"code": "daemon.unreachable"}


@pytest.mark.parametrize("kind", [Forbidden, NotFound])
async def test_what_the_user_has_to_mend_is_told_at_once(kind: type[MahavishnuError]) -> None:
    # A token that is not there has the code of one that was replaced a moment ago.
    endpoints = Scripted(kind("no token", hint="mend it", code="daemon.no_token"))
    told = (await said(endpoints))[0]
    assert told["error"]["message"] == "no token mend it" and endpoints.asked == 1


async def test_a_fault_answers_one_message_and_keeps_its_words(
    capsys: pytest.CaptureFixture[str],
) -> None:
    told = (await said(Scripted(ValueError("secret words"))))[0]
    assert told["id"] == 7 and told["error"]["code"] == bridge.INTERNAL_ERROR
    assert "secret" not in json.dumps(told) and "secret words" in capsys.readouterr().err


def progress(done: float) -> bytes:
    params = {"progressToken": 1, "progress": done}
    told = {"jsonrpc": "2.0", "method": "notifications/progress", "params": params}
    return b"data: " + json.dumps(told).encode() + b"\r\n\r\n"


async def test_progress_of_a_repeated_message_only_grows() -> None:
    stream = "text/event-stream"
    cut_off = Reply(200, progress(0.5) + progress(1) + progress(1.5), stream)
    whole = Reply(200, progress(0.5) + progress(2) + b"data: " + ANSWER + b"\n\n", stream)
    *steps, last = await said(Scripted(cut_off, whole))
    assert [step["params"]["progress"] for step in steps] == [0.5, 1, 1.5, 2]
    assert last["result"] == {"tools": []}


@pytest.mark.parametrize("number", ["1.5", "null", "true", "[1]", "{}"])
async def test_an_id_that_is_none_is_refused_not_taken_for_a_notification(number: str) -> None:
    endpoints = Scripted(Reply(200, ANSWER))
    line = b'{"jsonrpc": "2.0", "id": %s, "method": "tools/list"}' % number.encode()
    [told] = await said(endpoints, line)
    assert (told["id"], told["error"]["code"]) == (None, bridge.INVALID_REQUEST)
    assert not endpoints.asked


@pytest.mark.parametrize(
    ("head", "tail", "number"),
    [
        (b'{"jsonrpc": "2.0", "id": 12, "method": "tools/call", "params": {"x": "', b'"}}', 12),
        (b'{"jsonrpc":"2.0","id":"a\\"b","method":"', b'"}', 'a"b'),
        (b'{"method": "tools/call", "params": {"x": "', b'"}}', None),
        # Clients of the SDKs write it at the end, and parameters have ids too.
        (b'{"params": {"id": "abcd", "x": "', b'"}, "jsonrpc": "2.0", "id": 3}', 3),
        (b'{"params": {"id": "abcd", "x": "', b'", "id": 4}}', None),
    ],
)
async def test_whose_message_is_too_long_learns_it(
    head: bytes, tail: bytes, number: int | str | None
) -> None:
    [told] = await said(Scripted(Reply(200, ANSWER)), Overlong(head, tail))
    assert (told["id"], told["error"]["code"]) == (number, bridge.INVALID_REQUEST)


async def test_who_sends_half_a_character_learns_it() -> None:
    # As JavaScript writes a text that was cut within an emoji.
    line = b'{"method":"tools/call","params":{"id":"x","text":"\\ud83d"},"jsonrpc":"2.0","id":9}'
    [told] = await said(Scripted(Reply(200, ANSWER)), line)
    assert (told["id"], told["error"]["code"]) == (9, bridge.PARSE_ERROR)
    assert "surrogate" in told["error"]["message"]
