"""
Store many memories in one request: a line of JSON in, a line of JSON out, while both still flow.

Lines are stored as they come, some in a transaction; a line that cannot be stored is told and holds up
no other. The last line counts: an answer without it was cut off.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.types import Message, Receive, Scope, Send

from mahavishnu.app import App
from mahavishnu.errors import MahavishnuError, UsageError
from mahavishnu.memory.models import NewMemory, Stored, check_new_memory
from mahavishnu.operations.memory import new_memory
from mahavishnu.operations.operation import invalid
from mahavishnu.operations.requests import StoreMemory
from mahavishnu.server.answers import Failure, HttpError, failure, refuse

TOGETHER = 64  # lines of one transaction, at most
MAX_LINE = 8 * 1024 * 1024
CONTENT_TYPES = ("application/jsonl", "application/x-ndjson", "application/json-lines")


class StoredLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """The outcome of a line, counted from 1: an id, or an error."""

    line: int
    id: Any = None
    created: bool | None = None
    embedded: bool | None = None
    error: Failure | None = None


class LastLine(msgspec.Struct, frozen=True):
    """The end of an answer. `complete` is false where the work was given up before the last line."""

    complete: bool
    stored: int
    failed: int


@dataclass(frozen=True)
class _Line:
    number: int
    new: NewMemory


class Batch:
    """The ASGI endpoint. Reading never waits for the answer to be read, so neither side can block."""

    def __init__(self, app: App, source: str) -> None:
        self._app = app
        self._source = source

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        headers = dict(scope["headers"])
        kind = headers.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower()
        if kind not in CONTENT_TYPES:
            refusal = HttpError(
                415, "The body must be lines of JSON.",
                hint=f"Send Content-Type: {CONTENT_TYPES[0]}.", code="http.content_type",
            )  # fmt: skip
            await refuse(refusal)(scope, receive, send)
            return
        lines: asyncio.Queue[bytes | None] = asyncio.Queue()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_write(lines, send))
            tasks.create_task(self._work(receive, lines))

    async def _work(self, receive: Receive, lines: asyncio.Queue[bytes | None]) -> None:
        stored = failed = 0
        complete = True
        pending: list[_Line] = []
        number = 0
        try:
            async for raw, last in _split(receive):
                number += 1
                if raw.strip():
                    try:
                        pending.append(_Line(number, self._read(raw)))
                    except MahavishnuError as error:
                        failed += 1
                        lines.put_nowait(_encode(StoredLine(number, error=failure(error))))
                if pending and (last or len(pending) == TOGETHER):
                    lines.put_nowait(b"".join(map(_encode, await self._store(pending))))
                    stored, pending = stored + len(pending), []
        except MahavishnuError as error:
            complete = False
            failed += len(pending)
            for each in pending or [_Line(number + 1, NewMemory(content=""))]:
                lines.put_nowait(_encode(StoredLine(each.number, error=failure(error))))
        finally:
            lines.put_nowait(_encode(LastLine(complete, stored, failed)))
            lines.put_nowait(None)

    def _read(self, raw: bytes) -> NewMemory:
        """Return what a line says; raises `UsageError` where it cannot be stored."""
        try:
            request = msgspec.json.decode(raw, type=StoreMemory)
        except msgspec.MsgspecError as error:
            raise invalid(error) from error
        except (UnicodeDecodeError, RecursionError) as error:
            raise UsageError("The line is no JSON.", code="input.invalid") from error
        return check_new_memory(new_memory(request, source=self._source))

    async def _store(self, pending: Sequence[_Line]) -> list[StoredLine]:
        outcomes: list[Stored] = await self._app.memories.store_batch(
            [each.new for each in pending]
        )
        return [
            StoredLine(each.number, outcome.id, outcome.created, outcome.embedded)
            for each, outcome in zip(pending, outcomes, strict=True)
        ]


async def _split(receive: Receive) -> AsyncIterator[tuple[bytes, bool]]:
    """Yield lines as they arrive, and whether it is the last one that is here already."""
    rest = b""
    more = True
    while more:
        message: Message = await receive()
        if message["type"] != "http.request":
            raise MahavishnuError("The client has gone.", code="http.gone")
        more = message.get("more_body", False)
        *whole, rest = (rest + message.get("body", b"")).split(b"\n")
        if len(rest) > MAX_LINE:
            raise UsageError("A line is too long.", code="http.line")
        if not more and rest:
            whole.append(rest)
        for place, line in enumerate(whole):
            yield line, place == len(whole) - 1


async def _write(lines: asyncio.Queue[bytes | None], send: Send) -> None:
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-type", b"application/jsonl"), (b"cache-control", b"no-store")],
        }
    )
    while (line := await lines.get()) is not None:
        await send({"type": "http.response.body", "body": line, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _encode(line: StoredLine | LastLine) -> bytes:
    return msgspec.json.encode(line) + b"\n"
