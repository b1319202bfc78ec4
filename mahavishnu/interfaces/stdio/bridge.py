"""
MCP over stdin and stdout: each line is a message, answered where `Endpoints` says.

No state is kept but the version that a client of 2025 agreed on. A message whose answer was lost is sent
again: every operation may be repeated.
"""

import asyncio
import base64
import contextlib
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from mahavishnu.base.errors import MahavishnuError, Unavailable
from mahavishnu.base.logs import get_logger
from mahavishnu.base.settings.sources import Loaded
from mahavishnu.interfaces.http.endpoints import Endpoints, Reply
from mahavishnu.interfaces.stdio.lines import HEAD, LineWriter, Overlong, read_lines, take_stdout

AT_ONCE = 64  # messages of one client
RETRY_FOR_S = 30.0
RETRY_PAUSE_S = 0.1
END_S = 10.0  # what still runs when stdin ends gets this long
INTERNAL = "Something went wrong inside; stderr tells more."
VERSION_KEY = "io.modelcontextprotocol/protocolVersion"
NAMED_BY = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
NO_JSON = "The line is no JSON, or a text in it holds half a character (a lone surrogate)."
PARSE_ERROR, INVALID_REQUEST, INTERNAL_ERROR = -32700, -32600, -32603
_ID = re.compile(rb'"id"\s*:\s*(-?\d+|"(?:[^"\\]|\\.)*")')
_LAST_ID = re.compile(_ID.pattern + rb"\s*\}\s*\Z")  # where the SDKs write it
_log = get_logger(__name__)


@dataclass
class _Exchange:
    """A request that is being answered: since when its answer is lost, and how far it told to be."""

    number: int | str
    message: dict[str, Any]
    lost_at: float | None = None
    progress: float = -1.0


async def serve_stdio(loaded: Loaded) -> None:
    """Answer the client at stdin and stdout until it closes stdin."""
    write = take_stdout()
    try:
        await _serve(loaded, write)
    except* BrokenPipeError:
        _log.info("client_gone")


async def _serve(loaded: Loaded, write: Callable[[bytes], object]) -> None:
    async with (
        contextlib.aclosing(Endpoints(loaded)) as endpoints,
        asyncio.TaskGroup() as tasks,
    ):
        writer = LineWriter(write, room=AT_ONCE)
        bridge = Bridge(endpoints, writer.write)
        running: set[asyncio.Task[None]] = set()
        room = asyncio.Semaphore(AT_ONCE)
        async for line in read_lines(loaded.settings.server.max_body):
            await writer.room()
            await room.acquire()
            task = tasks.create_task(bridge.handle(line))
            running.add(task)
            task.add_done_callback(running.discard)
            task.add_done_callback(lambda _: room.release())
        if running:
            await asyncio.wait(running, timeout=END_S)
        for task in running:
            task.cancel()


class Bridge:
    """Takes lines, gives lines; `write` gets whole ones, and keeps to their order."""

    def __init__(self, endpoints: Endpoints, write: Callable[[bytes], Awaitable[object]]) -> None:
        self._endpoints = endpoints
        self._write = write
        self._version: str | None = None
        self._running: dict[int | str, asyncio.Task[None]] = {}

    async def handle(self, line: bytes | Overlong) -> None:
        if isinstance(line, Overlong):
            number = _find_id(line.head, line.tail)
            await self._fail(number, INVALID_REQUEST, "The message is too long.")
            return
        try:
            message = msgspec.json.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            await self._fail(_find_id(line[:HEAD], line[-HEAD:]), PARSE_ERROR, NO_JSON)
            return
        if not isinstance(message, dict) or not isinstance(message.get("method"), str):
            if not (isinstance(message, dict) and ("result" in message or "error" in message)):
                await self._fail(None, INVALID_REQUEST, "The line is no JSON-RPC message.")
        elif "id" not in message:
            self._notice(message)
        elif not _is_id(message["id"]):
            await self._fail(None, INVALID_REQUEST, "The id must be a text or a whole number.")
        else:
            number = message["id"]
            task = asyncio.current_task()
            assert task is not None
            self._running[number] = task
            try:
                await self._request(_Exchange(number, message), line)
            finally:
                self._running.pop(number, None)

    def _notice(self, message: dict[str, Any]) -> None:
        """Take a notification: a cancelled request is let go of, the rest means nothing here."""
        params = message.get("params")
        if message["method"] == "notifications/cancelled" and isinstance(params, dict):
            number = params.get("requestId")
            task = self._running.get(number) if _is_id(number) else None  # type: ignore[arg-type]
            if task is not None:
                task.cancel()

    async def _request(self, exchange: _Exchange, line: bytes) -> None:
        """Pass a request on until it is answered, or there is no hope of that."""
        while True:
            try:
                async with self._endpoints.post(line, self._headers(exchange.message)) as reply:
                    if reply.status_code == 429:
                        raise Unavailable("The daemon has too much to do.", code="http.too_many")
                    if reply.status_code == 401:  # replaced since it was read
                        raise Unavailable("The token was replaced.", code="daemon.no_token")
                    await self._pass_back(exchange, reply)
                return
            except MahavishnuError as error:
                if not _is_worth_repeating(exchange, error):
                    text = f"{error.message} {error.hint or ''}".strip()
                    await self._fail(exchange.number, INTERNAL_ERROR, text, {"code": error.code})
                    return
                _log.info("message_sent_again", code=error.code)
                await asyncio.sleep(RETRY_PAUSE_S)
            except BrokenPipeError:
                raise
            except Exception:  # noqa: BLE001 - the client's other messages go on
                _log.error("message_failed", exc_info=True)
                await self._fail(exchange.number, INTERNAL_ERROR, INTERNAL)
                return

    def _headers(self, message: dict[str, Any]) -> dict[str, str]:
        """Return what MCP over HTTP says of a message in headers."""
        headers = {
            "content-type": "application/json",
            "accept": "application/json, text/event-stream",
        }
        params = message.get("params")
        params = params if isinstance(params, dict) else {}
        meta = params.get("_meta")
        version = meta.get(VERSION_KEY) if isinstance(meta, dict) else None
        if isinstance(version, str):  # of 2026: each message tells its version, method and name
            headers |= {
                "mcp-protocol-version": _field(version),
                "mcp-method": _field(message["method"]),
            }
            name = params.get(NAMED_BY.get(message["method"], ""))
            if isinstance(name, str):
                headers["mcp-name"] = _field(name)
        elif self._version is not None and message["method"] != "initialize":
            headers["mcp-protocol-version"] = self._version
        return headers

    async def _pass_back(self, exchange: _Exchange, reply: Reply) -> None:
        answered = False
        if reply.headers.get("content-type", "").startswith("text/event-stream"):
            async for event in _events(reply):
                answered = await self._pass_on(exchange, event) or answered
        else:
            body = b"".join([piece async for piece in reply.aiter_bytes()])
            with contextlib.suppress(msgspec.DecodeError):
                answered = await self._pass_on(exchange, body)
        if not answered:
            if reply.status_code == 200:  # the stream ended early
                raise Unavailable("The daemon went away.", code="daemon.unreachable")
            text = f"The daemon refused the message (HTTP {reply.status_code})."
            await self._fail(exchange.number, INTERNAL_ERROR, text)

    async def _pass_on(self, exchange: _Exchange, event: bytes) -> bool:
        """Write one message of the server; tells whether it is the answer."""
        decoded = msgspec.json.decode(event)
        if not isinstance(decoded, dict) or "jsonrpc" not in decoded:
            return False
        exchange.lost_at = None
        answers = "method" not in decoded
        if answers:
            decoded["id"] = exchange.number
            result = decoded.get("result")
            if exchange.message["method"] == "initialize" and isinstance(result, dict):
                self._version = str(result.get("protocolVersion"))
        elif decoded["method"] == "notifications/progress":
            done = decoded["params"]["progress"]
            if done <= exchange.progress:  # of a message that was sent again
                return False
            exchange.progress = done
        await self._say(decoded)
        return answers

    async def _fail(
        self, number: int | str | None, code: int, text: str, data: object = None
    ) -> None:
        error: dict[str, Any] = {"code": code, "message": text}
        if data is not None:
            error["data"] = data
        await self._say({"jsonrpc": "2.0", "id": number, "error": error})

    async def _say(self, message: object) -> None:
        await self._write(msgspec.json.encode(message) + b"\n")


def _is_id(value: object) -> bool:
    return isinstance(value, int | str) and not isinstance(value, bool)


def _find_id(head: bytes, tail: bytes) -> int | str | None:
    """
    Return the id of a message that cannot be read, so that its sender learns the answer.

    It stands at the end, or before the parameters, which may have an id of their own.
    """
    found = _LAST_ID.search(tail) or _ID.search(head.partition(b'"params"')[0])
    try:
        return msgspec.json.decode(found[1], type=int | str) if found else None
    except msgspec.DecodeError:
        return None


def _is_worth_repeating(exchange: _Exchange, error: MahavishnuError) -> bool:
    """Tell whether the daemon may be back soon; counted from when it was lost, not from the question."""
    if not isinstance(error, Unavailable) or error.code not in (
        "daemon.unreachable",
        "http.too_many",
        "daemon.no_token",
    ):
        return False
    now = time.monotonic()
    exchange.lost_at = exchange.lost_at or now
    return now - exchange.lost_at < RETRY_FOR_S


async def _events(reply: Reply) -> AsyncIterator[bytes]:
    """Yield the data of each server-sent event."""
    rest = b""
    data: list[bytes] = []
    async for piece in reply.aiter_bytes():
        *lines, rest = (rest + piece).split(b"\n")
        for line in (line.removesuffix(b"\r") for line in lines):
            if line.startswith(b"data:"):
                data.append(line[5:].removeprefix(b" "))
            elif not line and data:
                yield b"\n".join(data)
                data = []


def _field(value: str) -> str:
    """Return a value as a header field; what is no plain ASCII as the protocol wraps it."""
    plain = value.isascii() and value.isprintable() and value == value.strip()
    if plain and not value.startswith("=?base64?"):
        return value
    return f"=?base64?{base64.b64encode(value.encode()).decode()}?="
