"""A batch whose client does what it should not: bad lines without end, an answer that nobody reads."""

import asyncio
import tracemalloc
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import msgspec
import pytest
from starlette.types import Message

from mahavishnu.app import App
from mahavishnu.interfaces.http import batch
from mahavishnu.interfaces.http.batch import MAX_FAILED, BatchEndpoint
from mahavishnu.memory.models import NewMemory

SCOPE = {"type": "http", "headers": [(b"content-type", b"application/jsonl")]}
GOOD = b'{"content": "x"}\n'


@dataclass
class Memories:
    """Stores nothing, and says that it did."""

    stored: int = 0

    async def store_batch(self, news: Sequence[NewMemory]) -> list[Any]:
        self.stored += len(news)
        return [
            SimpleNamespace(id=UUID(int=7), created=True, embedded=False, waits=None) for _ in news
        ]


@dataclass
class Client:
    """Sends pieces, and reads the answer once it may."""

    pieces: list[bytes]
    reads: asyncio.Event = field(default_factory=asyncio.Event)
    answer: bytes = b""
    taken: int = 0

    async def receive(self) -> Message:
        await asyncio.sleep(0)
        self.taken += 1
        more = self.taken < len(self.pieces)
        return {"type": "http.request", "body": self.pieces[self.taken - 1], "more_body": more}

    async def send(self, message: Message) -> None:
        await self.reads.wait()
        self.answer += message.get("body", b"")

    @property
    def last(self) -> Any:
        return msgspec.json.decode(self.answer.splitlines()[-1])

    async def run(self, memories: Memories) -> None:
        app = cast(App, SimpleNamespace(writes=memories))
        await BatchEndpoint(app, "http")(SCOPE, self.receive, self.send)


async def test_bad_lines_without_end_are_given_up() -> None:
    client, memories = Client([GOOD * 3 + b"x\n" * 2_000 + GOOD, b"x\n" * 100]), Memories()
    client.reads.set()
    await client.run(memories)
    assert client.last == {"complete": False, "stored": 3, "failed": MAX_FAILED}
    assert client.taken == 2  # the rest is read, or its sender would not hear of it
    assert len(client.answer.splitlines()) == 3 + MAX_FAILED + 1


@pytest.mark.parametrize("line", [b"\n", b"x\n"])
async def test_others_are_served_while_lines_of_one_piece_are_read(
    monkeypatch: pytest.MonkeyPatch, line: bytes
) -> None:
    monkeypatch.setattr(batch, "MAX_FAILED", 1_000_000)
    client = Client([line * 4_000])
    client.reads.set()
    work = asyncio.create_task(client.run(Memories()))
    turns = 0
    while not work.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > 4_000 / 64


async def test_no_more_is_read_than_may_wait_to_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "MAX_TOLD", 50_000)
    client, memories = Client([GOOD * 500] * 20), Memories()
    tracemalloc.start()
    try:
        work = asyncio.create_task(client.run(memories))
        for _ in range(2_000):
            await asyncio.sleep(0)
        assert client.taken < 5 and memories.stored < 2_000
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()
    client.reads.set()
    await work
    assert client.last == {"complete": True, "stored": 10_000, "failed": 0}
