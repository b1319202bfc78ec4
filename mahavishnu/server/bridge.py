"""
MCP over stdin and stdout: each line is a message, answered where `Endpoints` says.

No state is kept but the version that a client of 2025 agreed on. A message whose answer was lost is sent
again: every operation may be repeated.
"""

import asyncio
import base64
import contextlib
import os
import select
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any

import msgspec

from mahavishnu.errors import MahavishnuError, Unavailable
from mahavishnu.logs import get_logger
from mahavishnu.server.endpoints import Endpoints, Reply
from mahavishnu.settings.sources import Loaded

AT_ONCE = 64  # messages of one client
READ_AHEAD = 4  # lines, beyond those
RETRY_FOR_S = 30.0
RETRY_PAUSE_S = 0.1
END_S = 10.0  # what still runs when stdin ends gets this long
INTERNAL = "Something went wrong inside; stderr tells more."
VERSION_KEY = "io.modelcontextprotocol/protocolVersion"
NAMED_BY = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
PARSE_ERROR, INVALID_REQUEST, INTERNAL_ERROR = -32700, -32600, -32603
_log = get_logger(__name__)


async def serve_stdio(loaded: Loaded) -> None:
    """Answer the client at stdin and stdout until it closes stdin."""
    write = _take_stdout()
    try:
        await _serve(loaded, write)
    except* BrokenPipeError:
        _log.info("client_gone")


async def _serve(loaded: Loaded, write: Callable[[bytes], object]) -> None:
    limit = loaded.settings.server.max_body
    async with Endpoints(loaded) as endpoints, asyncio.TaskGroup() as tasks:
        bridge = Bridge(endpoints, write)
        running: set[asyncio.Task[None]] = set()
        room = asyncio.Semaphore(AT_ONCE)
        async for line in _lines(limit):
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
    """Takes lines, gives lines; `write` gets whole lines and never two at once."""

    def __init__(self, endpoints: Endpoints, write: Callable[[bytes], object]) -> None:
        self._endpoints = endpoints
        self._write = write
        self._writing = asyncio.Lock()
        self._version: str | None = None
        self._running: dict[Any, asyncio.Task[None]] = {}

    async def handle(self, line: bytes | None) -> None:
        """Handle one line; None stands for one that was too long."""
        if line is None:
            await self._fail(None, INVALID_REQUEST, "The message is too long.")
            return
        try:
            message = msgspec.json.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            await self._fail(None, PARSE_ERROR, "The line is no JSON.")
            return
        if not isinstance(message, dict) or not isinstance(message.get("method"), str):
            if not (isinstance(message, dict) and ("result" in message or "error" in message)):
                await self._fail(None, INVALID_REQUEST, "The line is no JSON-RPC message.")
            return
        number = message.get("id")
        if not isinstance(number, int | str) or isinstance(number, bool):
            self._notice(message)
            return
        task = asyncio.current_task()
        assert task is not None
        self._running[number] = task
        try:
            await self._request(number, message, line)
        finally:
            self._running.pop(number, None)

    def _notice(self, message: dict[str, Any]) -> None:
        """Take a notification: a cancelled request is let go of, the rest means nothing here."""
        params = message.get("params")
        if message["method"] == "notifications/cancelled" and isinstance(params, dict):
            number = params.get("requestId")
            task = self._running.get(number) if isinstance(number, int | str) else None
            if task is not None:
                task.cancel()

    async def _request(self, number: int | str, message: dict[str, Any], line: bytes) -> None:
        """Pass a request on until it is answered, or there is no hope of that."""
        until = time.monotonic() + RETRY_FOR_S
        while True:
            try:
                async with self._endpoints.post(line, self._headers(message)) as reply:
                    if reply.status_code == 429:
                        raise Unavailable("The daemon has too much to do.", code="http.too_many")
                    if reply.status_code == 401:  # replaced since it was read
                        raise Unavailable("The token was replaced.", code="daemon.no_token")
                    await self._pass_back(number, message, reply)
                return
            except MahavishnuError as error:
                lost = error.code in ("daemon.unreachable", "http.too_many", "daemon.no_token")
                if not lost or time.monotonic() >= until:
                    text = f"{error.message} {error.hint or ''}".strip()
                    await self._fail(number, INTERNAL_ERROR, text, {"code": error.code})
                    return
                _log.info("message_sent_again", code=error.code)
                await asyncio.sleep(RETRY_PAUSE_S)
            except BrokenPipeError:
                raise
            except Exception:  # noqa: BLE001 - the client's other messages go on
                _log.error("message_failed", exc_info=True)
                await self._fail(number, INTERNAL_ERROR, INTERNAL)
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

    async def _pass_back(self, number: int | str, message: dict[str, Any], reply: Reply) -> None:
        answered = False
        if reply.headers.get("content-type", "").startswith("text/event-stream"):
            async for event in _events(reply):
                answered = await self._pass_on(number, message, event) or answered
        else:
            body = b"".join([piece async for piece in reply.aiter_bytes()])
            with contextlib.suppress(msgspec.DecodeError):
                answered = await self._pass_on(number, message, body)
        if not answered:
            if reply.status_code == 200:  # the stream ended early
                raise Unavailable("The daemon went away.", code="daemon.unreachable")
            text = f"The daemon refused the message (HTTP {reply.status_code})."
            await self._fail(number, INTERNAL_ERROR, text)

    async def _pass_on(self, number: int | str, message: dict[str, Any], event: bytes) -> bool:
        """Write one message of the server; tells whether it is the answer."""
        decoded = msgspec.json.decode(event)
        if not isinstance(decoded, dict) or "jsonrpc" not in decoded:
            return False
        answers = "method" not in decoded
        if answers:
            decoded["id"] = number
            result = decoded.get("result")
            if message["method"] == "initialize" and isinstance(result, dict):
                self._version = str(result.get("protocolVersion"))
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
        line = msgspec.json.encode(message) + b"\n"
        async with self._writing:
            # In a thread: a client that does not read must not keep us from its cancellation.
            await asyncio.shield(asyncio.to_thread(self._write, line))


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


async def _lines(limit: int) -> AsyncIterator[bytes | None]:
    """Yield the lines of stdin without blanks; None for one of more than `limit` bytes."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[bytes | None] = asyncio.Queue()
    ahead = threading.Semaphore(READ_AHEAD)
    end = object()

    def tell(item: Any) -> None:
        ahead.acquire()  # a client that only sends is not read from
        with contextlib.suppress(RuntimeError):  # the loop has ended before the client did
            loop.call_soon_threadsafe(queue.put_nowait, item)

    def read() -> None:
        for line in _split(iter(_read_piece, b""), limit):
            if line is None or line.strip():
                tell(line and line.strip())
        tell(end)

    # A daemon thread: it may sit in a read that nobody ends.
    threading.Thread(target=read, daemon=True).start()
    while (item := await queue.get()) is not end:
        ahead.release()
        yield item


def _read_piece() -> bytes:
    """Read from stdin, past Python's buffer: its lock would be held when the process ends."""
    try:
        return os.read(0, 1 << 16)
    except OSError:
        return b""


def _split(pieces: Iterable[bytes], limit: int) -> Iterator[bytes | None]:
    """Yield lines; None in the place of one of more than `limit` bytes, which is not kept."""
    rest = b""
    over = False
    for piece in pieces:
        *ends, last = piece.split(b"\n")
        for part in ends:
            over = over or len(rest) + len(part) > limit
            yield None if over else rest + part
            rest, over = b"", False
        over = over or len(rest) + len(last) > limit
        rest = b"" if over else rest + last
    if rest or over:
        yield None if over else rest


def _take_stdout() -> Callable[[bytes], None]:
    """
    Take stdout for the protocol alone; whatever else prints goes to stderr from now on.

    Returns what writes a line whole, though another program made the stream non-blocking.
    """
    sys.stdout.flush()
    out = os.dup(1)
    os.dup2(2, 1)

    def write(line: bytes) -> None:
        rest = memoryview(line)
        while rest:
            try:
                rest = rest[os.write(out, rest) :]
            except BlockingIOError:
                select.select([], [out], [])

    return write


def _field(value: str) -> str:
    """Return a value as a header field; what is no plain ASCII as the protocol wraps it."""
    plain = value.isascii() and value.isprintable() and value == value.strip()
    if plain and not value.startswith("=?base64?"):
        return value
    return f"=?base64?{base64.b64encode(value.encode()).decode()}?="
