"""
Deliver to a Session-Buddy, and be killed (-9) before that is noted.

Run as `python -m tests.support.session_buddy_killed DSN ADDRESS`.
"""

import asyncio
import os
import signal
import sys
from datetime import timedelta
from typing import Any

from mahavishnu.database.pool import Database
from mahavishnu.database.target import target_of_dsn
from mahavishnu.embedding.choose import Choice
from mahavishnu.memory.outbox.outbox import Outbox
from mahavishnu.memory.outbox.session_buddy import SessionBuddyTarget
from mahavishnu.memory.scoping import Scopes
from mahavishnu.memory.space import EmbeddingSpace
from mahavishnu.memory.store import MemoryStore
from mahavishnu.services.session_buddy.client import SessionBuddy


async def die(_outbox: Outbox, _target: object, _before: object, _after: object, taken: Any) -> Any:
    """End where changes were taken and nobody knows yet."""
    assert taken
    os.kill(os.getpid(), signal.SIGKILL)


async def deliver(dsn: str, address: str) -> None:
    """Deliver once."""

    async def choose(_: object) -> Choice:
        return Choice(None, "There is none.")

    limit = timedelta(seconds=30)
    async with Database(target_of_dsn(dsn), size=2, statement_timeout=limit) as database:
        memories = MemoryStore(database, EmbeddingSpace(database, choose), Scopes(database))
        target = SessionBuddyTarget(SessionBuddy(address))
        await Outbox(database, memories, [target]).run(force=True)


if __name__ == "__main__":
    Outbox._move = die  # type: ignore[method-assign]
    asyncio.run(deliver(*sys.argv[1:]))
