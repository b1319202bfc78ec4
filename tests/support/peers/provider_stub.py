"""
A provider of models on the loopback interface: it records every request, and answers by a script.

It speaks Anthropic's Messages and OpenAI's Responses and chat completions, below any base URL, and
streams where it is asked to. The script, which is played with streamed Messages and with chat completions,
uses tools, then quotes what the last one said. It holds no state between requests: how far the script
has come is read from the conversation that each request brings, as a real model would.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.support.peers.loopback import serving
from tests.support.peers.provider_wire import Block, completions, messages, responses, whole

PREFACE = "The tool answered: "
_MODEL_PATHS = ("/messages", "/responses", "/chat/completions")


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
    """One request that came in at the time `when`; `body` is empty where it brought none."""

    method: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    when: float = field(default_factory=time.monotonic, compare=False)

    @property
    def is_turn(self) -> bool:
        """Whether it is for the model."""
        return self.method == "POST" and self.path.endswith(_MODEL_PATHS)

    @property
    def credentials(self) -> dict[str, str]:
        """The headers that bring a key."""
        names = ("authorization", "x-api-key")
        return {name: self.headers[name] for name in names if name in self.headers}

    @property
    def tools(self) -> list[str]:
        """The names of the tools offered to the model."""
        return [tool["name"] for tool in self.body.get("tools", [])]

    @property
    def results(self) -> list[tuple[str, bool]]:
        """What tools answered so far in the conversation: the text, and whether it is an error."""
        messages = self.body.get("messages", [])
        return [
            (_text_of(message["content"]), False)
            for message in messages
            if message["role"] == "tool"
        ] + [
            (_text_of(block.get("content", "")), bool(block.get("is_error")))
            for message in messages
            if isinstance(message.get("content"), list)
            for block in message["content"]
            if block["type"] == "tool_result"
        ]


@dataclass
class ProviderStub:
    """
    Plays `script`, one step a turn, then says what the last tool answered; records `asked`.

    `watch` is called at each turn before the answer, while the client waits; `note` at each request.
    """

    script: Sequence[Use]
    watch: Callable[[], object] = lambda: None
    note: Callable[[Asked], object] = lambda asked: None
    asked: list[Asked] = field(default_factory=list)

    @property
    def turns(self) -> list[Asked]:
        """The requests that were for the model."""
        return [each for each in self.asked if each.is_turn]

    async def __call__(self, request: Request) -> Response:
        """Record the request, and answer it where it is for the model."""
        when = time.monotonic()
        raw = await request.body()
        headers = dict(request.headers)
        body = json.loads(raw) if raw else {}
        asked = Asked(request.method, request.url.path, headers, body, when)
        self.note(asked)
        self.asked.append(asked)
        if not asked.is_turn:
            return Response(status_code=404)
        await asyncio.to_thread(self.watch)
        if not body.get("stream"):
            plain: Block = {"type": "text", "text": PREFACE + "nothing"}
            scripted = asked.path.endswith("/chat/completions")
            block = await self._block(asked) if scripted else plain
            return JSONResponse(whole(asked.path, block, body["model"]))
        events = _stream(asked, await self._block(asked), turn=len(self.turns))
        return StreamingResponse(_sent(events), media_type="text/event-stream")

    async def _block(self, asked: Asked) -> Block:
        """Return the block of content that answers this conversation."""
        done = len(asked.results)
        if asked.path.endswith(("/messages", "/chat/completions")) and done < len(self.script):
            step = self.script[done]
            await asyncio.to_thread(step.before)
            # An id is unique within a conversation, however often it is told anew.
            id_ = f"toolu_{done:024d}"
            return {"type": "tool_use", "id": id_, "name": step.tool, "input": step.arguments}
        last = asked.results[-1][0] if asked.results else "nothing"
        return {"type": "text", "text": PREFACE + last}


@contextlib.contextmanager
def provider_stub(*script: Use) -> Iterator[tuple[ProviderStub, str]]:
    """Serve a stub that plays `script`; yields it and its base URL."""
    stub = ProviderStub(script)
    methods = ["GET", "HEAD", "POST"]
    app = Starlette(routes=[Route("/{path:path}", stub.__call__, methods=methods)])
    with serving(app) as url:
        yield stub, url


def _stream(asked: Asked, block: Block, *, turn: int) -> Iterator[str]:
    model = asked.body["model"]
    if asked.path.endswith("/messages"):
        return messages(block, model, turn=turn)
    if asked.path.endswith("/chat/completions"):
        return completions(block, model, turn=turn)
    return responses(block["text"], model, turn=turn)


async def _sent(events: Iterator[str]) -> AsyncIterator[str]:
    for event in events:
        yield event


def _text_of(content: str | list[dict[str, Any]]) -> str:
    """Return the text of a tool's result, which comes as a string or as blocks."""
    if isinstance(content, str):
        return content
    return "\n".join(block["text"] for block in content if block["type"] == "text")
