"""A hand-written HTTP server on the loopback interface that plays embedding servers and a hub."""

import asyncio
import json
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

from tests.support.fakes import fake_tokens, fake_vector

DIGEST = "0a109f422b47e3a30ba2b10eca18548e944e8a23073ee3f3e947efcf3c45e59f"


@dataclass(frozen=True)
class Request:
    """One request as it came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Reply:
    """
    One answer. `cut_bytes` ends the connection after so many bytes of the body, 0 before any byte;
    `delay_s` waits first.
    """

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut_bytes: int | None = None
    delay_s: float = 0.0


DROP = Reply(cut_bytes=0)


def json_reply(value: Any, status: int = 200, **headers: str) -> Reply:
    """Answer with JSON; keyword arguments are headers, `_` for `-`."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Reply(status, json.dumps(value).encode(), named)


class FakeServer:
    """
    Answers by `handle`, after the replies in `script` are used up; records `requests`.

    A reply in `script` answers the next POST (or GET of a file), whatever it asks.
    """

    def __init__(
        self, handle: Callable[[Request], Reply], *, tls: ssl.SSLContext | None = None
    ) -> None:
        self.handle = handle
        self._tls = tls
        self.script: list[Reply] = []
        self.requests: list[Request] = []
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        """The port it listens at."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self.port}"

    def posts(self, path: str) -> list[Any]:
        """Return the decoded bodies of what was posted to `path`."""
        return [r.json for r in self.requests if r.method == "POST" and r.path == path]

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while (request := await _read(reader)) is not None:
                self.requests.append(request)
                scripted = self.script and request.path not in ("/api/tags", "/api/show")
                reply = self.script.pop(0) if scripted else self.handle(request)
                await asyncio.sleep(reply.delay_s)
                writer.write(_encode(reply))
                if reply.cut_bytes is not None:
                    break
                await writer.drain()
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()


async def _read(reader: asyncio.StreamReader) -> Request | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    start, *lines = head.strip().split("\r\n")
    method, path, _ = start.split(" ")
    headers = {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(method, path, headers, body)


def _encode(reply: Reply) -> bytes:
    if reply.cut_bytes == 0:
        return b""
    lines = [f"HTTP/1.1 {reply.status} -"]
    lines += [f"{name}: {text}" for name, text in reply.headers.items()]
    lines.append(f"content-length: {len(reply.body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + reply.body[: reply.cut_bytes]


@dataclass
class FakeModel:
    """What the served model does: its name, vector length and window."""

    name: str = "all-minilm"
    dimensions: int = 384
    window_tokens: int = 256

    def rows(self, texts: list[str]) -> list[list[float]]:
        """Return the vectors, not normalised."""
        return [fake_vector(text, dimensions=self.dimensions) for text in texts]

    def refuses(self, texts: list[str]) -> bool:
        """Tell whether a text is beyond the window."""
        return any(len(fake_tokens(text)) > self.window_tokens for text in texts)


def ollama_server(model: FakeModel | None = None) -> FakeServer:
    """Return a server that answers and refuses as Ollama does. Source: its docs/api.md."""
    served = model or FakeModel()

    def handle(request: Request) -> Reply:
        if request.path == "/api/tags":
            tag = f"{served.name}:latest"
            return json_reply({"models": [{"name": tag, "model": tag, "digest": DIGEST}]})
        if request.path == "/api/show":
            info = {
                "general.architecture": "bert",
                "bert.embedding_length": served.dimensions,
                "bert.context_length": served.window_tokens,
            }
            return json_reply({"model_info": info})
        if request.path != "/api/embed":
            return Reply(404, b"404 page not found")
        asked = request.json
        if asked["model"].removesuffix(":latest") != served.name:
            return json_reply({"error": f'model "{asked["model"]}" not found'}, 404)
        if served.refuses(asked["input"]) and not asked.get("truncate", True):
            return json_reply({"error": "the input length exceeds the context length"}, 400)
        return json_reply({"model": asked["model"], "embeddings": served.rows(asked["input"])})

    return FakeServer(handle)


def openai_server(model: FakeModel | None = None, *, key: str = "") -> FakeServer:
    """Return a server of OpenAI's embeddings endpoint; the items come in reverse order."""
    served = model or FakeModel()

    def handle(request: Request) -> Reply:
        if key and request.headers.get("authorization") != f"Bearer {key}":
            return json_reply({"error": {"message": f"Incorrect API key provided: {key}"}}, 401)
        if request.path != "/v1/embeddings":
            return Reply(404)
        asked = request.json
        if asked["model"] != served.name:
            return json_reply({"error": {"message": "The model does not exist"}}, 404)
        if served.refuses(asked["input"]):
            return json_reply({"error": {"message": "maximum context length is 256"}}, 400)
        rows = served.rows(asked["input"])
        items = [
            {"index": i, "embedding": row[: asked.get("dimensions")]} for i, row in enumerate(rows)
        ]
        return json_reply({"object": "list", "data": items[::-1]})

    return FakeServer(handle)
