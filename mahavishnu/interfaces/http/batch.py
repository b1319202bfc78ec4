"""
Store many memories in one request: a line of JSON in, a line of JSON out, while both still flow.

Lines are stored as they come, some in a transaction; a line that cannot be stored is reported, and the others
go on. The last line counts: an answer without it was cut off.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec
from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope, Send

from mahavishnu.app import App
from mahavishnu.base.errors import MahavishnuError, UsageError
from mahavishnu.interfaces.http.answers import (
    Failure,
    HttpError,
    failure,
    media_type,
    read_json,
    refuse,
)
from mahavishnu.memory.models import NewMemory, Stored, check_new_memory
from mahavishnu.operations.bodies import kept_fields
from mahavishnu.operations.operation import read_request
from mahavishnu.operations.requests import StoreMemory

TOGETHER = 64  # lines of one transaction, at most
MAX_LINE = 8 * 1024 * 1024
MAX_FAILED = 1_000  # lines, after which a batch is given up
MAX_TOLD = 16 * 1024 * 1024  # bytes that wait to be read; beyond, no more lines are taken
PIECE = 64 * 1024
CONTENT_TYPES = ("application/jsonl", "application/x-ndjson", "application/json-lines")


class StoredLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """The outcome of a line, counted from 1: an id, or an error."""

    line: int
    id: Any = None
    created: bool | None = None
    embedded: bool | None = None
    locations: list[str] | None = None
    error: Failure | None = None


class LastLine(msgspec.Struct, frozen=True):
    """The end of an answer. `complete` is false where the work was given up before the last line."""

    complete: bool
    stored: int
    failed: int


class BatchEndpoint:
    """
    The ASGI endpoint. Lines are taken before the answers about others are read, up to `MAX_TOLD` bytes.

    A client that reads none of it then is given up by the guard, as any that does not read.
    """

    def __init__(self, app: App, source: str) -> None:
        self._app = app
        self._source = source

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if media_type(Headers(scope=scope).get("content-type", "")) not in CONTENT_TYPES:
            refusal = HttpError(
                415, "The body must be lines of JSON.",
                hint=f"Send Content-Type: {CONTENT_TYPES[0]}.", code="http.content_type",
            )  # fmt: skip
            await refuse(refusal)(scope, receive, send)
            return
        told = _Told()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_write(told, send))
                tasks.create_task(self._work(receive, told))
        except ExceptionGroup as group:  # the guard looks for what is in it
            raise group.exceptions[0] from None

    async def _work(self, receive: Receive, told: "_Told") -> None:
        body = _Body(receive)
        try:
            complete = await self._store_lines(body, told)
            if not complete:
                await body.drop()
            told.last(complete=complete)
        finally:
            told.end()

    async def _store_lines(self, body: "_Body", told: "_Told") -> bool:
        """Store line by line as they come; returns whether it came to the end of them."""
        pending: dict[int, NewMemory] = {}  # by the numbers of their lines
        number = 0
        try:
            async for raw, last in body.lines():
                number += 1
                self._take(number, raw, pending, told)
                given_up = told.failures >= MAX_FAILED
                if pending and (last or given_up or len(pending) == TOGETHER):
                    if not await self._store(pending, told):
                        return False
                    pending = {}
                if given_up:
                    return False
                await told.room()
                if number % TOGETHER == 0:
                    await asyncio.sleep(0)  # others are served too
        except MahavishnuError as error:  # of the reading; all that came before is stored
            told.failed(number + 1, error)
            return False
        return True

    def _take(self, number: int, raw: bytes, pending: dict[int, NewMemory], told: "_Told") -> None:
        if not raw.strip():
            return
        try:
            new = read_request(StoreMemory, read_json(raw)).memory(source=self._source)
            pending[number] = check_new_memory(new)
        except MahavishnuError as error:
            told.failed(number, error)

    async def _store(self, pending: Mapping[int, NewMemory], told: "_Told") -> bool:
        """Store lines in one transaction; returns whether that could be done."""
        try:
            outcomes = await self._app.writes.store_batch(list(pending.values()))
        except MahavishnuError as error:
            for number in pending:
                told.failed(number, error)
            return False
        for number, outcome in zip(pending, outcomes, strict=True):
            told.stored(number, outcome)
        return True


class _Told:
    """The answers about the lines, counted, until it is sent."""

    def __init__(self) -> None:
        self._waiting = bytearray()
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._ended = False
        self._stored = 0
        self.failures = 0

    def stored(self, number: int, outcome: Stored) -> None:
        self._stored += 1
        locations = kept_fields(outcome)["locations"]
        self._put(StoredLine(number, outcome.id, outcome.created, outcome.embedded, locations))

    def failed(self, number: int, error: MahavishnuError) -> None:
        self.failures += 1
        self._put(StoredLine(number, error=failure(error)))

    def last(self, *, complete: bool) -> None:
        self._put(LastLine(complete, self._stored, self.failures))

    def end(self) -> None:
        self._ended = True
        self._news.set()

    async def room(self) -> None:
        """Wait until so much was sent that more may be told."""
        await self._room.wait()

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield what is to be sent, as it comes, to its end."""
        while not self._ended or self._waiting:
            await self._news.wait()
            self._news.clear()
            while self._waiting:
                piece = bytes(self._waiting[:PIECE])
                del self._waiting[:PIECE]
                if len(self._waiting) <= MAX_TOLD:
                    self._room.set()
                yield piece

    def _put(self, line: "StoredLine | LastLine") -> None:
        self._waiting += msgspec.json.encode(line) + b"\n"
        if len(self._waiting) > MAX_TOLD:
            self._room.clear()
        self._news.set()


class _Body:
    """What a client sends, while it sends it."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._more = True

    async def lines(self) -> AsyncIterator[tuple[bytes, bool]]:
        """Yield lines as they arrive, and whether it is the last one that is here already."""
        rest = b""
        while self._more:
            *whole, rest = (rest + await self._read()).split(b"\n")
            if not self._more and rest:
                whole.append(rest)
            for place, line in enumerate(whole):
                yield line, place == len(whole) - 1
            if len(rest) > MAX_LINE:
                raise UsageError(
                    f"The line has more than {MAX_LINE:,} bytes.",
                    hint="End each memory with a line break; a text may have 1 MiB.",
                    code="http.line",
                )

    async def drop(self) -> None:
        """Read and drop the rest: a client that still sends would not see the answer."""
        with contextlib.suppress(MahavishnuError):
            while self._more:
                await self._read()

    async def _read(self) -> bytes:
        message: Message = await self._receive()
        if message["type"] != "http.request":
            self._more = False
            raise MahavishnuError("The client has gone.", code="http.gone")
        self._more = message.get("more_body", False)
        piece: bytes = message.get("body", b"")
        return piece


async def _write(told: _Told, send: Send) -> None:
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [
                (b"content-type", b"application/jsonl"),
                (b"cache-control", b"no-store"),
                # Who goes on sending after the work was given up must not keep a place by that.
                (b"connection", b"close"),
            ],
        }
    )
    async for piece in told.pieces():
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})
