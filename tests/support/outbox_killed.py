"""Run a sync to a mirror, and be killed (-9) at the n-th act: `python -m tests.support.outbox_killed DSN PATH N`."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO

from mahavishnu.database.pool import Database
from mahavishnu.database.target import target_of_dsn
from mahavishnu.embedding.choose import Choice
from mahavishnu.memory.outbox import mirror, outbox
from mahavishnu.memory.outbox.outbox import Outbox
from mahavishnu.memory.outbox.runs import KeptRuns
from mahavishnu.memory.scoping import Scopes
from mahavishnu.memory.space import EmbeddingSpace
from mahavishnu.memory.store import MemoryStore

BATCH = 3


def arm(at: int) -> None:
    """Let this process die at the `at`-th write, sync or note of how far it is; half of a write is done then."""
    left = at

    def die(half: Callable[[], object] = lambda: None) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            half()
            os.kill(os.getpid(), signal.SIGKILL)

    write, fsync, move = mirror._write, os.fsync, Outbox._move

    def half_write(stream: BinaryIO, content: bytes) -> None:
        die(lambda: write(stream, content[: len(content) // 2]))
        write(stream, content)

    def late_sync(descriptor: int) -> None:
        die()
        fsync(descriptor)

    async def late_move(*values: Any) -> Any:
        die()
        return await move(*values)

    mirror._write, os.fsync = half_write, late_sync
    Outbox._move = late_move  # type: ignore[method-assign]
    outbox.BATCH = BATCH


async def deliver(dsn: str, path: Path) -> None:
    """Deliver for ever."""

    async def choose(_: object) -> Choice:
        return Choice(None, "There is none.")

    async with Database(
        target_of_dsn(dsn), size=2, statement_timeout=timedelta(seconds=30)
    ) as database:
        memories = MemoryStore(database, EmbeddingSpace(database, choose), Scopes(database))
        runs = KeptRuns(database, Outbox(database, memories, [mirror.JsonlMirror(path)]))
        while True:
            await runs.run("periodic")


if __name__ == "__main__":
    arm(int(sys.argv[3]))
    asyncio.run(deliver(sys.argv[1], Path(sys.argv[2])))
