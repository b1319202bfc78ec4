"""What the daemon does on its own goes on, whatever comes in between."""

import asyncio
import contextlib
from typing import Any

import pytest

from mahavishnu.errors import Unavailable
from mahavishnu.server import background


class Queue:
    """The parts of an application that are asked; each look first raises what `faults` has."""

    def __init__(self, waiting: int, faults: list[Exception]) -> None:
        self.waiting = waiting
        self.faults = faults
        self.done = asyncio.Event()
        self.space = self.memories = self

    async def reconsider(self) -> None:
        if self.faults:
            raise self.faults.pop(0)

    async def count_waiting(self, *, cap: int) -> int:
        return min(cap, self.waiting)

    async def embed_waiting(self, *, limit: int) -> int:
        done = min(limit, self.waiting)
        self.waiting -= done
        if not self.waiting:
            self.done.set()
        return done


@pytest.mark.parametrize(
    "faults",
    [[], [Unavailable("away", code="embedding.unreachable")], [ValueError("a fault")]],
    ids=["nothing", "the model is away", "a fault"],
)
async def test_what_waits_is_embedded_whatever_failed_before(
    monkeypatch: pytest.MonkeyPatch, faults: list[Exception]
) -> None:
    monkeypatch.setattr(background, "LOOK_EVERY_S", 0.001)
    monkeypatch.setattr(background, "LOOK_AGAIN_S", 0.001)
    queue: Any = Queue(1_000, faults)
    task = asyncio.create_task(background.embed_waiting(queue))
    async with asyncio.timeout(5):
        await queue.done.wait()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert queue.waiting == 0 and not faults
