"""
Anthropic's Messages for a provider that speaks OpenAI's protocols: LiteLLM turns requests, events and answers over.

It is an extra, loaded with the first request that needs it. It makes no connection of its own.
"""

import asyncio
import json
from collections.abc import Iterator, Mapping
from types import ModuleType, SimpleNamespace
from typing import Any

from mahavishnu.ai.clients.delivery import Protocol
from mahavishnu.gateway.outcome import data_of
from mahavishnu.gateway.preparing import prepare

# Of what LiteLLM makes of it: what not every provider takes.
_NOT_SENT = frozenset(
    {
        "user",
        "reasoning_effort",
        "thinking",
        "web_search_options",
        "context_management",
        "output_config",
    }
)


class NotTranslated(Exception):
    """Something cannot be said in the other protocol."""


class _Hungry(BaseException):
    """All that came was turned over; more may come. No handler of the library takes it for an error."""


class _Source:
    """What came, as the library's stream wants it."""

    def __init__(self) -> None:
        self.chunks: list[Any] = []
        self.ended = False

    def __aiter__(self) -> "_Source":
        return self

    async def __anext__(self) -> Any:
        if self.chunks:
            return self.chunks.pop(0)
        if self.ended:
            raise StopAsyncIteration
        raise _Hungry


class Translation:
    """One request and its answer, of which the provider speaks `protocol`; `load` has to be done before."""

    def __init__(self, protocol: Protocol, body: bytes, *, asked: str, model: str) -> None:
        self._protocol = protocol
        self._asked = asked
        self._names: Mapping[str, str] = {}
        self._source = _Source()
        self._calls: list[int] = []  # the places of tool calls, in the order in which they began
        self._said_end = False
        try:
            self._request = self._translate(prepare(json.loads(body), model))
        except Exception as error:  # the library raises whatever it meets
            raise NotTranslated(type(error).__name__) from error

    def request(self) -> bytes:
        """Return the request for the provider."""
        return json.dumps(self._request).encode()

    async def feed(self, events: bytes) -> bytes:
        """Return the client's events of whole ones of the provider's; raises `NotTranslated`."""
        try:
            for value in _values(events):
                self._source.chunks += map(self._chunk, self._single(value))
        except Exception as error:
            raise NotTranslated(type(error).__name__) from error
        return await self._drain()

    async def finish(self) -> bytes:
        """Return what ends the client's stream."""
        self._source.ended = True
        return await self._drain()

    def whole(self, body: bytes) -> bytes:
        """Return the client's answer of a whole one; raises `NotTranslated`."""
        try:
            value = json.loads(body)
            answer = (
                _library.CHAT.translate_completion_output_params(
                    _library.ChatAnswer(**value), dict(self._names)
                )
                if self._protocol == "openai-chat"
                else _library.RESPONSES.translate_response(_library.ResponsesAnswer(**value))
            )
            return json.dumps({**answer, "model": self._asked}, default=_plain).encode()
        except Exception as error:
            raise NotTranslated(type(error).__name__) from error

    def _translate(self, body: dict[str, Any]) -> dict[str, Any]:
        if self._protocol == "openai-responses":
            made = dict(_library.RESPONSES.translate_request(body))
            made["tools"] = [each for each in made.get("tools") or () if each["type"] == "function"]
            self._stream = _library.ResponsesStream(self._source, model=self._asked)
            return {name: each for name, each in made.items() if each and name != "user"} | {
                "model": body["model"], "stream": bool(body.get("stream")), "store": False,
            }  # fmt: skip
        model = body["model"]
        made, self._names = _library.CHAT.translate_completion_input_params_with_tool_mapping(body)
        self._stream = _library.ChatStream(
            self._source, model=self._asked, tool_name_mapping=dict(self._names)
        )
        sent = {name: each for name, each in made.items() if name not in _NOT_SENT} | {
            "model": model
        }
        for message in sent["messages"]:
            message.pop("thinking_blocks", None)
        if sent.get("stream"):
            sent["stream_options"] = {"include_usage": True}
        return sent

    def _single(self, value: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """
        Split a chunk into those of one tool call each: of more than one the library takes the first.

        Raises `NotTranslated` for arguments of a call behind which another began: in Messages it has ended.
        """
        if self._protocol != "openai-chat":
            yield value
            return
        choice: dict[str, Any] = next(iter(value.get("choices") or ()), {})
        delta = choice.get("delta") or {}
        if delta.get("refusal") and not delta.get("content"):
            delta["content"] = delta["refusal"]
        calls = delta.get("tool_calls") or []
        for each in calls:
            place = each.get("index", 0)
            if place not in self._calls:
                self._calls.append(place)
            elif place != self._calls[-1]:
                raise NotTranslated("tool calls that take turns")
        for call in calls[:-1]:
            single = choice | {"delta": delta | {"tool_calls": [call]}, "finish_reason": None}
            yield {name: each for name, each in value.items() if name != "usage"} | {
                "choices": [single]
            }
            delta = {}
        if calls:
            value |= {"choices": [choice | {"delta": delta | {"tool_calls": calls[-1:]}}]}
        yield value

    def _chunk(self, value: dict[str, Any]) -> Any:
        if self._protocol == "openai-chat":
            return _library.ChatChunk(**value)
        response = value.get("response")
        if isinstance(response, dict):
            usage = response.get("usage")
            usage = _library.ResponsesUsage(**usage) if usage else None
            value |= {"response": SimpleNamespace(**response | {"usage": usage})}
        return SimpleNamespace(**value)

    async def _drain(self) -> bytes:
        made: list[bytes] = []
        while True:
            try:
                event = await anext(self._stream)
            except _Hungry:
                return b"".join(made)
            except StopAsyncIteration:
                if (
                    not self._said_end
                ):  # the library ends so too where it meets what it does not know
                    raise NotTranslated("the stream") from None
                return b"".join(made)
            self._said_end = self._said_end or event["type"] == "message_stop"
            data = json.dumps(event, default=_plain)
            made.append(f"event: {event['type']}\ndata: {data}\n\n".encode())


async def load() -> None:
    """Load the library, in a thread: it takes some seconds, in which others are answered. Raises `ImportError`."""
    if not vars(_library):
        found = await asyncio.to_thread(_load)
        vars(_library).update(vars(found))


_library = SimpleNamespace()


def _load() -> ModuleType:
    from mahavishnu.gateway import litellm_library  # noqa: PLC0415 - 3 s, and an extra

    return litellm_library


def _values(events: bytes) -> Iterator[dict[str, Any]]:
    for event in events.replace(b"\r\n", b"\n").split(b"\n\n"):
        data = data_of(event)
        if data and data != b"[DONE]":
            yield json.loads(data)


def _plain(value: Any) -> Any:
    """Return a value of the library's as JSON can have it."""
    return value.model_dump(exclude_none=True)


def error_message(body: bytes) -> str:
    """Return what an error of OpenAI's protocols says, shortened."""
    try:
        value = json.loads(body)
        value = value.get("response") or value
        error = value.get("error", value)
        said = error.get("message") if isinstance(error, dict) else error
    except (ValueError, AttributeError):
        said = body.decode(errors="replace")
    return str(said or "The provider says nothing.")[:2_000]
