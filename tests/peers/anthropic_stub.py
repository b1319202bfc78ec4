"""
A model behind Anthropic's Messages API that follows a script: it uses tools, then quotes a result.

It holds no state between requests: how far the script has come is read from the conversation that
each request brings, as a real model would.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from tests.peers.loopback import serving

PREFACE = "The tool answered: "


@dataclass(frozen=True)
class Use:
    """
    One step of the script: the tool by the name that the client gives it, and its arguments.

    `before` is called before the model says so, while the client waits.
    """

    tool: str
    arguments: dict[str, Any]
    before: Callable[[], object] = lambda: None


@dataclass(frozen=True)
class Asked:
    """One request that came in; `body` is empty where it brought none."""

    method: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def tools(self) -> list[str]:
        """The names of the tools offered to the model."""
        return [tool["name"] for tool in self.body.get("tools", [])]

    @property
    def results(self) -> list[tuple[str, bool]]:
        """What tools answered so far in the conversation: the text, and whether it is an error."""
        return [
            (_text_of(block.get("content", "")), bool(block.get("is_error")))
            for message in self.body.get("messages", [])
            if isinstance(message["content"], list)
            for block in message["content"]
            if block["type"] == "tool_result"
        ]


@dataclass
class AnthropicStub:
    """Plays `script`, one step a turn, then says what the last tool answered; records `asked`."""

    script: Sequence[Use]
    asked: list[Asked] = field(default_factory=list)

    @property
    def turns(self) -> list[Asked]:
        """The requests that were for the model."""
        return [each for each in self.asked if each.path == "/v1/messages"]

    async def __call__(self, request: Request) -> Response:
        """Record the request, and answer it where it is for the model."""
        raw = await request.body()
        asked = Asked(
            request.method, request.url.path, dict(request.headers), json.loads(raw) if raw else {}
        )
        self.asked.append(asked)
        if asked not in self.turns:
            return Response(status_code=404)
        events = _events(await self._block(asked), asked.body["model"], turn=len(self.turns))
        return StreamingResponse(_encoded(events), media_type="text/event-stream")

    async def _block(self, asked: Asked) -> dict[str, Any]:
        """Return the block of content that answers this conversation."""
        done = len(asked.results)
        if done < len(self.script):
            step = self.script[done]
            await asyncio.to_thread(step.before)
            # An id is unique within a conversation, however often it is told anew.
            id_ = f"toolu_{done:024d}"
            return {"type": "tool_use", "id": id_, "name": step.tool, "input": step.arguments}
        last = asked.results[-1][0] if asked.results else "nothing"
        return {"type": "text", "text": PREFACE + last}


@contextlib.contextmanager
def anthropic_stub(*script: Use) -> Iterator[tuple[AnthropicStub, str]]:
    """Serve a stub that plays `script`; yields it and its base URL."""
    stub = AnthropicStub(script)
    methods = ["GET", "HEAD", "POST"]
    app = Starlette(routes=[Route("/{path:path}", stub.__call__, methods=methods)])
    with serving(app) as url:
        yield stub, url


def _events(block: dict[str, Any], model: str, *, turn: int) -> Iterator[dict[str, Any]]:
    """Return a message of one block as the events of a stream."""
    if block["type"] == "tool_use":
        empty, reason = block | {"input": {}}, "tool_use"
        delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
    else:
        empty, reason = block | {"text": ""}, "end_turn"
        delta = {"type": "text_delta", "text": block["text"]}
    usage = {"input_tokens": 10, "output_tokens": 5}
    message = {
        "id": f"msg_{turn:024d}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage,
    }
    yield {"type": "message_start", "message": message}
    yield {"type": "content_block_start", "index": 0, "content_block": empty}
    yield {"type": "content_block_delta", "index": 0, "delta": delta}
    yield {"type": "content_block_stop", "index": 0}
    end = {"stop_reason": reason, "stop_sequence": None}
    yield {"type": "message_delta", "delta": end, "usage": {"output_tokens": 5}}
    yield {"type": "message_stop"}


async def _encoded(events: Iterator[dict[str, Any]]) -> AsyncIterator[str]:
    for event in events:
        yield f"event: {event['type']}\ndata: {json.dumps(event)}\n\n"


def _text_of(content: str | list[dict[str, Any]]) -> str:
    """Return the text of a tool's result, which comes as a string or as blocks."""
    if isinstance(content, str):
        return content
    return "\n".join(block["text"] for block in content if block["type"] == "text")
