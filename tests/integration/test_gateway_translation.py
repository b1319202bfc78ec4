"""Claude Code's protocol on providers of OpenAI's, by the real gateway; loading LiteLLM takes three seconds."""

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from mahavishnu.ai.routes.translated import is_installed
from tests.support.gateway import (
    GOOD,
    KEY,
    REQUEST,
    Behave,
    Exchange,
    Gateway,
    Providers,
    gateway,
    providers,
)

pytestmark = pytest.mark.skipif(not is_installed(), reason="needs the extra translate")

TOOL = {
    "name": "Bash",
    "description": "Runs.",
    "input_schema": {"type": "object", "properties": {}},
}
ASKED = {
    "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
    "metadata": {"user_id": "somebody"},
    "thinking": {"type": "enabled", "budget_tokens": 1024},
    "context_management": {"edits": []},
    "tools": [TOOL, {"type": "web_search_20250305", "name": "web_search"}],
    "messages": [
        {"role": "user", "content": "What is there?"},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "I look.", "signature": "s"},
                {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {"command": "ls"}},
            ],
        },
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "a file"}],
        },
    ],
}
USAGE = {
    "prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15,
    "prompt_tokens_details": {"cached_tokens": 4},
}  # fmt: skip


@pytest.fixture(scope="module")
def found() -> Iterator[Providers]:
    with providers() as served:
        yield served


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, found: Providers) -> Iterator[Gateway]:
    with gateway(tmp_path_factory.mktemp("translating"), found) as running:
        yield running


def route(
    run: Gateway, found: Providers, name: str, behave: Behave, *others: str, protocol: str = "chat"
) -> None:
    """Lead the client `name` to a profile that speaks one of OpenAI's protocols, then to others."""
    found.behave[name] = behave
    url = {f"openai_{protocol}_base_url": f"{found.url}/{name}/v1"}
    run.profile(name, anthropic_base_url=None, model="big", small_model="little", **url)
    run.route(name, name, *others)


def chunk(delta: dict[str, Any] | None, reason: str | None = None, **more: object) -> bytes:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": reason}]
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "big"}
    return f"data: {json.dumps(head | {'choices': choices} | more)}\n\n".encode()


def call(arguments: str, **more: object) -> dict[str, Any]:
    return {"tool_calls": [{"index": 0, "function": {"arguments": arguments}} | more]}


TEXT = [
    chunk({"role": "assistant", "content": ""}),
    chunk({"content": "It is "}),
    chunk({"content": "there."}),
]
FIRST_CALL = {"id": "call_1", "type": "function", "function": {"name": "Bash", "arguments": ""}}
CALLS = [chunk(call("", **FIRST_CALL)), chunk(call('{"command":')), chunk(call(' "ls"}'))]
DONE = [chunk(None, usage=USAGE), b"data: [DONE]\n\n"]


def streams(*pieces: bytes) -> Behave:
    async def behave(exchange: Exchange) -> None:
        await exchange.begin()
        for piece in pieces:
            await exchange.chunk(piece)
        await exchange.end()

    return behave


def read(content: bytes) -> list[dict[str, Any]]:
    """Return the events of a stream, whose names are those of their types."""
    events = []
    for each in content.decode().strip().split("\n\n"):
        name, data = each.split("\n")
        events.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {events[-1]['type']}"
    return events


def test_a_stream_of_chat_completions_is_one_of_messages(run: Gateway, found: Providers) -> None:
    route(run, found, "chat", streams(*TEXT, *CALLS, chunk({}, "tool_calls"), *DONE))
    events = read(run.ask("chat", **ASKED).content)
    types = [each["type"] for each in events]
    assert types == [
        "message_start", "content_block_start", "content_block_delta", "content_block_delta", "content_block_stop",
        "content_block_start", "content_block_delta", "content_block_delta", "content_block_stop",
        "message_delta", "message_stop",
    ]  # fmt: skip
    assert "".join(each["delta"].get("text", "") for each in events[2:4]) == "It is there."
    assert {name: events[5]["content_block"][name] for name in ("type", "id", "name")} == {
        "type": "tool_use", "id": "call_1", "name": "Bash",
    }  # fmt: skip
    parts = "".join(each["delta"]["partial_json"] for each in events[6:8])
    assert json.loads(parts) == {"command": "ls"}
    assert events[-2]["delta"]["stop_reason"] == "tool_use"
    assert events[0]["message"]["model"] == "opus"
    [asked] = found.asked("chat")
    assert (asked.path, asked.headers["authorization"]) == ("/v1/chat/completions", f"Bearer {KEY}")
    assert not [each for each in asked.headers if each.startswith(("anthropic-", "x-stainless"))]
    sent = asked.json
    assert sent.keys() == {"model", "messages", "tools", "max_tokens", "stream", "stream_options"}
    assert (sent["model"], sent["max_tokens"]) == ("big", 9)
    assert [each["function"]["name"] for each in sent["tools"]] == ["Bash"]
    roles = [each["role"] for each in sent["messages"]]
    assert roles == ["system", "user", "assistant", "tool"]
    assert sent["messages"][2].keys() <= {"role", "content", "tool_calls"}
    assert sent["messages"][3]["content"] == "a file"
    record = run.record("chat")
    assert (record.protocol, record.sent_model, record.cause) == ("openai-chat", "big", "")
    assert (record.input, record.output, record.cached) == (10, 5, 4)


def test_a_stream_of_responses_is_one_of_messages(run: Gateway, found: Providers) -> None:
    def event(kind: str, **values: object) -> bytes:
        return f"event: {kind}\ndata: {json.dumps({'type': kind, **values})}\n\n".encode()

    def item(kind: str, **values: object) -> dict[str, object]:
        return {"type": kind, "id": f"id_{kind}"} | values

    used = item("function_call", call_id="call_1", name="Bash")
    usage = {
        "input_tokens": 10,
        "output_tokens": 5,
        "total_tokens": 15,
        "input_tokens_details": {"cached_tokens": 4},
    }
    end = {"id": "r", "status": "completed", "output": [used], "usage": usage}
    pieces = [
        event("response.created", response={"id": "r", "status": "in_progress"}),
        event("response.output_item.added", output_index=0, item=item("message")),
        event("response.output_text.delta", item_id="id_message", delta="It is there."),
        event("response.output_item.done", output_index=0, item=item("message")),
        event("response.output_item.added", output_index=1, item=used),
        event("response.function_call_arguments.delta", item_id="id_function_call", delta='{"command": "ls"}'),
        event("response.output_item.done", output_index=1, item=used),
        event("response.completed", response=end),
    ]  # fmt: skip
    route(run, found, "responses", streams(*pieces), protocol="responses")
    events = read(run.ask("responses", **ASKED).content)
    assert [each["delta"] for each in events if each["type"] == "content_block_delta"] == [
        {"type": "text_delta", "text": "It is there."},
        {"type": "input_json_delta", "partial_json": '{"command": "ls"}'},
    ]
    assert events[-2]["delta"]["stop_reason"] == "tool_use" and events[-1]["type"] == "message_stop"
    [asked] = found.asked("responses")
    sent = asked.json
    assert asked.path == "/v1/responses" and sent["store"] is False and "user" not in sent
    assert [each["type"] for each in sent["input"]] == [
        "message",
        "function_call",
        "function_call_output",
    ]
    assert "I look." not in asked.body.decode() and sent["instructions"] == "Be brief."
    assert run.record("responses").output == 5


@pytest.mark.parametrize("protocol", ["chat", "responses"])
def test_an_answer_in_one_json_is_one_of_messages(
    run: Gateway, found: Providers, protocol: str
) -> None:
    said = {"role": "assistant", "content": "It is there."}
    part = {"type": "output_text", "text": "It is there.", "annotations": []}
    message = {
        "type": "message",
        "id": "m",
        "status": "completed",
        "role": "assistant",
        "content": [part],
    }
    chat = {
        "id": "c", "object": "chat.completion", "created": 1, "model": "big", "usage": USAGE,
        "choices": [{"index": 0, "message": said, "finish_reason": "stop"}],
    }  # fmt: skip
    responses = {
        "id": "r", "object": "response", "created_at": 1, "model": "big", "status": "completed",
        "output": [message], "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
        "usage": {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15},
    }  # fmt: skip
    whole = {"chat": chat, "responses": responses}

    async def behave(exchange: Exchange) -> None:
        await exchange.answer(200, whole[protocol])

    name = f"whole-{protocol}"
    route(run, found, name, behave, protocol=protocol)
    answer = run.ask(name, **ASKED | {"stream": False}).json()
    assert (answer["type"], answer["role"], answer["model"]) == ("message", "assistant", "opus")
    [block] = answer["content"]
    assert (block["type"], block["text"]) == ("text", "It is there.")
    assert answer["stop_reason"] == "end_turn" and answer["usage"]["output_tokens"] == 5


def test_what_fails_is_told_in_the_words_of_messages(run: Gateway, found: Providers) -> None:
    async def no_quota(exchange: Exchange) -> None:
        error = {"message": "Too much.", "type": "insufficient_quota", "code": "insufficient_quota"}
        await exchange.answer(429, {"error": error}, retry_after="30")

    route(run, found, "poor", no_quota)
    answer = run.ask("poor", **ASKED)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "30")
    assert answer.json() == {
        "type": "error",
        "error": {"type": "rate_limit_error", "message": "Too much."},
    }
    assert run.record("poor").cause == "quota"
    route(run, found, "broken", streams(*TEXT))
    events = read(run.ask("broken", **ASKED).content)
    assert events[-1]["type"] == "error" and events[-1]["error"]["type"] == "overloaded_error"
    assert run.record("broken").cause == "provider"
    route(run, found, "strange", streams(*TEXT, b"data: {no json\n\n", *DONE))
    assert read(run.ask("strange", **ASKED).content)[-1]["type"] == "error"


def test_calls_of_several_tools_stay_apart(run: Gateway, found: Providers) -> None:
    def started(number: int, arguments: str) -> dict[str, Any]:
        function = {"name": f"T{number}", "arguments": arguments}
        return {"index": number, "id": f"c{number}", "type": "function", "function": function}

    both = {"role": "assistant", "tool_calls": [started(0, '{"a": 1}'), started(1, '{"b": 2}')]}
    route(run, found, "both", streams(chunk(both), chunk({}, "tool_calls"), *DONE))
    events = read(run.ask("both", **ASKED).content)
    parts = [
        each["delta"]["partial_json"] for each in events if "partial_json" in each.get("delta", {})
    ]
    assert [json.loads(each) for each in parts] == [{"a": 1}, {"b": 2}]
    turns = [chunk({"tool_calls": [started(number, "")]}) for number in (0, 1)]
    turns += [chunk(call('{"a": 1}'))]  # of the first, which has ended for Messages
    route(run, found, "turns", streams(*turns, chunk({}, "tool_calls"), *DONE))
    assert b'"type": "error"' in run.ask("turns", **ASKED).content
    assert run.record("turns").cause == "provider"


def test_a_mistake_of_the_client_is_told_in_the_words_of_the_provider(
    run: Gateway, found: Providers
) -> None:
    """Claude Code makes its conversation shorter where it hears that; asked again it would fail again."""
    error = {"code": "context_length_exceeded", "message": "The context is too long."}
    broken = {"type": "response.failed", "response": {"status": "failed", "error": error}}
    failed = f"event: response.failed\ndata: {json.dumps(broken)}\n\n".encode()
    said = {"type": "invalid_request_error", "message": "The context is too long."}
    route(run, found, "long", streams(failed), protocol="responses")
    answer = run.ask("long", **ASKED)
    assert (answer.status_code, answer.json()["error"]) == (400, said)
    assert run.record("long").cause == "client"
    begun = threading.Event()

    async def late(exchange: Exchange) -> None:
        await exchange.begin()
        for piece in TEXT:
            await exchange.chunk(piece)
        await asyncio.to_thread(begun.wait, 60)
        await exchange.chunk(f"data: {json.dumps({'error': error})}\n\n".encode())
        await exchange.end()

    route(run, found, "late", late)
    with (
        run.http("late") as http,
        http.stream("POST", "/anthropic/v1/messages", json=REQUEST | ASKED) as streamed,
    ):
        pieces = streamed.iter_bytes()
        first = next(pieces)
        begun.set()
        assert read(first + b"".join(pieces))[-1]["error"] == said


def test_an_answer_ends_with_its_last_event(run: Gateway, found: Providers) -> None:
    """Whatever becomes of the connection, on which nothing else comes until `gateway.event_timeout`."""

    async def stays(exchange: Exchange) -> None:
        await exchange.begin()
        for piece in (*TEXT, chunk({}, "stop"), *DONE):
            await exchange.chunk(piece)
        await exchange.reader.read()

    route(run, found, "stays", stays)
    assert read(run.ask("stays", **ASKED).content)[-1]["type"] == "message_stop"
    assert run.record("stays").total_ms < 60_000


def test_before_it_says_anything_the_next_profile_is_asked(run: Gateway, found: Providers) -> None:
    run.profile("native")
    route(run, found, "silent", streams(chunk({"role": "assistant", "content": ""})), "native")
    assert run.ask("silent", **ASKED).content == GOOD
    assert found.asked("native")[0].json == REQUEST | ASKED
    route(run, found, "unreadable", streams(*TEXT, *DONE))
    answer = run.ask("unreadable", messages=[])
    assert answer.status_code == 400 and answer.json()["type"] == "error"
