"""
The runs of sync that are kept as rows: periodic ones, those at a checkpoint, and those that somebody asked for.

What the daemon delivers as it changes has no row.
"""

import os
import socket
from datetime import datetime, timedelta
from typing import Annotated, Literal
from uuid import UUID

import asyncpg
from msgspec import Meta, Struct

from mahavishnu.base.identifiers import new_id
from mahavishnu.database.pool import Database
from mahavishnu.database.queries import load_queries
from mahavishnu.memory.checks import check_limit
from mahavishnu.memory.outbox.outbox import Outbox
from mahavishnu.memory.outbox.states import Ran

KEEP_DAYS = 90
_QUERIES = load_queries("sync_runs")

type RunReason = Literal["periodic", "catch_up", "checkpoint", "manual"]
type RunEnding = Literal["done", "busy", "waiting", "failed", "running", "interrupted"]


class SyncRun(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A run of a target. `interrupted`: its process ended first, so nobody counted; what it left is delivered again."""

    id: UUID
    target: str
    why: RunReason
    worker: Annotated[str, Meta(description="The machine and process that made it.")]
    started_at: datetime
    ended_at: datetime | None = None
    ending: RunEnding
    delivered: int | None = None
    refused: Annotated[int | None, Meta(description="Changes that became dead letters.")] = None
    waiting: Annotated[int | None, Meta(description="Changes that were left.")] = None
    error_code: str | None = None
    error: str | None = None


class KeptRuns:
    """Runs targets of the outbox, one run of a target at a time, and lists what became of it."""

    def __init__(self, database: Database, outbox: Outbox) -> None:
        self._database = database
        self._outbox = outbox
        self._worker = f"{socket.gethostname()}:{os.getpid()}"

    async def run(self, why: RunReason, *, unless_within: timedelta | None = None) -> list[Ran]:
        """
        Deliver to each target what it lacks, also where its next attempt is not due.

        A target is left out where a scheduled run of another worker was done `unless_within` ago. Raises where the
        database cannot be used; the run is `interrupted` then.
        """
        runs = [await self._run(each, why, unless_within) for each in self._outbox.names]
        return [each for each in runs if each is not None]

    async def find(self, target: str | None = None, *, limit: int = 20) -> list[SyncRun]:
        """Return runs, newest first."""
        check_limit(limit)
        rows = await self._fetch("list_runs", target, limit)
        return [SyncRun(**row) for row in rows]

    async def _run(
        self, target: str, why: RunReason, unless_within: timedelta | None
    ) -> Ran | None:
        [row] = await self._fetch("read_owner")
        async with self._database.exclusive(f"sync run {row[0]} {target}") as free:
            if not free:
                return Ran(target, "busy")
            run_id = new_id()
            values = run_id, target, why, self._worker, KEEP_DAYS, unless_within
            if not await self._fetch("begin_run", *values):
                return None
            [ran] = await self._outbox.run(target, force=True)
            waiting = await self._outbox.count_pending(target)
            counts = ran.delivered, ran.dead, waiting
            await self._fetch("end_run", run_id, ran.ending, *counts, ran.error_code, ran.error)
            return ran

    async def _fetch(self, query: str, *values: object) -> list[asyncpg.Record]:
        return await self._database.run(lambda c: c.fetch(_QUERIES[query], *values))
