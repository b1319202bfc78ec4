"""Store what waits, in the order in which it came: each write once, whoever does it and however often it ends early."""

import asyncio
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import batched, groupby
from typing import Any
from uuid import UUID

from mahavishnu.base.errors import MahavishnuError
from mahavishnu.base.logs import get_logger
from mahavishnu.database.pool import Database
from mahavishnu.database.queries import load_queries
from mahavishnu.memory.conversations import Conversations
from mahavishnu.memory.models import NewMemory
from mahavishnu.memory.records import Records
from mahavishnu.memory.spool.entries import is_refusal, read_back
from mahavishnu.memory.spool.file import SpoolEntry, SpoolFile
from mahavishnu.memory.statements import load_memory_queries
from mahavishnu.memory.store import BATCH_SIZE, MemoryStore

FEW = 16  # executions between two looks at the clock: they are stored one by one
_QUERIES = load_queries("spool")
_CLOCK = load_memory_queries("memories")["read_clock"]
_log = get_logger(__name__)

type _Due = Sequence[tuple[SpoolEntry, Any]]


@dataclass
class Drained:
    """
    What became of writes that waited.

    `stored` are new, `known` were there before, and their ids lead there now; `settled` were dealt with
    earlier, or are past their time; `refused` go on waiting. `busy`: another process was at it, and nothing
    was done. `left`: the time was over before all was.
    """

    stored: int = 0
    known: int = 0
    settled: int = 0
    refused: int = 0
    busy: bool = False
    left: bool = False


@dataclass(frozen=True)
class Destination:
    """The database that writes wait for, by a `name` without its password, and what stores each kind."""

    name: str
    database: Database
    memories: MemoryStore
    conversations: Conversations
    records: Records

    async def find_settled(self, due: _Due) -> set[UUID]:
        """Return the ids that were dealt with: a process ended before it took them out."""
        ids = [entry.id for entry, _ in due]
        hashes = [write.content_hash if isinstance(write, NewMemory) else None for _, write in due]
        rows = await self.database.run(lambda c: c.fetch(_QUERIES["find_settled"], ids, hashes))
        return {row["id"] for row in rows}

    async def read_clock(self) -> datetime:
        """Return the database's time: by a clock of this machine that is ahead, writes would be lost."""
        moment: datetime = await self.database.run(lambda c: c.fetchval(_CLOCK))
        return moment

    async def store(self, kind: str, due: _Due, now: datetime) -> list[bool]:
        """Store writes of one kind in order, let ids of duplicates lead to what is there, and tell which are new."""
        writes = [write for _, write in due]
        if kind == "memory":
            stored = await self.memories.store_batch(writes, embed=False, in_order=True, now=now)
            ids = [each.id for each in stored]
        elif kind == "turn":
            ids = [each.id for each in await self.conversations.record(writes, embed=False)]
        else:
            ids = [await self.records.record_execution(write, embed=False) for write in writes]
        pairs = [(entry.id, found) for (entry, _), found in zip(due, ids, strict=True)]
        aliases = [pair for pair in pairs if pair[0] != pair[1]]
        if aliases:
            columns = [list(column) for column in zip(*aliases, strict=True)]
            query = _QUERIES["put_execution_aliases" if kind == "execution" else "put_aliases"]
            await self.database.run(lambda c: c.execute(query, *columns))
        return [one == other for one, other in pairs]


async def drain(
    spool: SpoolFile, destination: Destination, *, budget_s: float = math.inf
) -> Drained:
    """
    Store all that waits for a database, or what can be begun within a time.

    A write is taken out after the database has it; where this ends in between, the next one finds it there by
    its id, its alias or its text. What the database refuses for good is noted, and the others go on.

    Raises:
        MahavishnuError: the database is away again, or the spool cannot be used; what was stored is.
    """
    done, until = Drained(), time.monotonic() + budget_s
    if not spool.is_there:
        return done
    with spool.turn() as ours:
        done.busy = not ours
        while ours and (
            entries := await asyncio.to_thread(spool.read, destination.name, limit=BATCH_SIZE)
        ):
            for kind, together in _runs(entries):
                if time.monotonic() > until:
                    done.left = True
                    return done
                await _store(spool, kind, together, destination, done)
    return done


def _runs(entries: Sequence[SpoolEntry]) -> Iterator[tuple[str, Sequence[SpoolEntry]]]:
    """Yield what can be stored together, in order."""
    for kind, together in groupby(entries, key=lambda each: each.kind):
        for run in batched(together, FEW if kind == "execution" else BATCH_SIZE, strict=False):
            yield kind, run


async def _store(
    spool: SpoolFile,
    kind: str,
    entries: Sequence[SpoolEntry],
    destination: Destination,
    done: Drained,
) -> None:
    """Store entries of one kind, and take them out."""
    read: list[tuple[SpoolEntry, Any]] = []
    refused: list[tuple[SpoolEntry, MahavishnuError]] = []
    for entry in entries:
        try:
            read.append((entry, read_back(entry)))
        except MahavishnuError as error:
            refused.append((entry, error))
    settled, now = await destination.find_settled(read), await destination.read_clock()
    gone = [entry for entry, write in read if entry.id in settled or _is_over(write, now)]
    due = [each for each in read if each[0] not in gone]
    outcomes = await _store_due(kind, due, now, destination, refused)
    for entry, why in refused:
        _log.warning("spooled_write_refused", id=str(entry.id), code=why.code)
        await asyncio.to_thread(spool.refuse, entry, why.code, why.message)
    await asyncio.to_thread(spool.remove, [*gone, *(entry for entry, _ in outcomes)])
    stored = sum(new for _, new in outcomes)
    done.stored += stored
    done.known += len(outcomes) - stored
    done.settled += len(gone)
    done.refused += len(refused)


async def _store_due(
    kind: str,
    due: _Due,
    now: datetime,
    destination: Destination,
    refused: list[tuple[SpoolEntry, MahavishnuError]],
) -> list[tuple[SpoolEntry, bool]]:
    """Store them in order, and tell which were new; of many, the one that is refused is found by halves."""
    if not due:
        return []
    try:
        new = await destination.store(kind, due, now)
        return [(entry, each) for (entry, _), each in zip(due, new, strict=True)]
    except MahavishnuError as error:
        if not is_refusal(error):
            raise
        if len(due) == 1:
            refused.append((due[0][0], error))
            return []
    half = len(due) // 2
    first = await _store_due(kind, due[:half], now, destination, refused)
    return first + await _store_due(kind, due[half:], now, destination, refused)


def _is_over(write: Any, now: datetime) -> bool:
    """Tell whether nobody would find it any more."""
    over = isinstance(write, NewMemory) and write.expires_at is not None
    return over and write.expires_at <= now
