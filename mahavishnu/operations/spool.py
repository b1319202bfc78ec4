"""The operations on the spool: what waits on this machine for PostgreSQL, and storing it now."""

import asyncio
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from msgspec import Meta, convert

from mahavishnu.base.errors import NotFound
from mahavishnu.memory.spool.drain import Drained
from mahavishnu.memory.spool.file import SpoolFile
from mahavishnu.operations.bodies import Body
from mahavishnu.operations.operation import Call, Operation, Request
from mahavishnu.operations.requests import Name

MOST_REFUSED = 100  # of which an answer tells


class SpoolStatus(Request, frozen=True, kw_only=True):
    """Nothing is asked but what waits."""


class DrainSpool(Request, frozen=True, kw_only=True):
    """Whether to store it, and whose writes too."""

    former: Annotated[
        Name | None,
        Meta(
            description="Also what waits for this other database, as spool_status names it: it is "
            "the one in use by now."
        ),
    ] = None
    confirm: Annotated[bool, Meta(description="false only says how much waits.")] = False


class WaitingWrites(Body, frozen=True, kw_only=True):
    """What waits for one database."""

    database: str
    count: int
    refused: Annotated[
        int, Meta(description="Writes that it refused, which are tried again by drain.")
    ]
    since: datetime
    kinds: Annotated[
        dict[str, int], Meta(description="memory, turn and execution; refused ones too.")
    ]


class RefusedWrite(Body, frozen=True, kw_only=True):
    """A write that the database refused for good."""

    id: UUID
    kind: str
    database: str
    spooled_at: datetime
    code: str
    message: str


class SpoolState(Body, frozen=True, kw_only=True):
    """What waits on this machine."""

    waiting: list[WaitingWrites]
    refused: Annotated[list[RefusedWrite], Meta(description="The first 100.")]
    damaged: Annotated[list[str], Meta(description="Spools that were damaged, and put aside.")]


class DrainResult(Body, frozen=True, kw_only=True):
    """
    What became of the writes that waited.

    `known` were there before: their ids lead there now. `settled` were stored earlier, or are past their time.
    """

    confirmed: Annotated[bool, Meta(description="false: nothing was stored yet.")]
    stored: int
    known: int
    settled: int
    refused: int
    busy: Annotated[bool, Meta(description="Another process stores what waits at this moment.")]
    waiting: Annotated[int, Meta(description="Writes that wait now, refused ones too.")]


async def spool_status(call: Call, _request: SpoolStatus) -> SpoolState:
    """Tell what waits; no database is asked."""
    return await asyncio.to_thread(read_spool, call.app.writes.spool)


async def drain_spool(call: Call, request: DrainSpool) -> DrainResult:
    """Store what waits, what was refused before too."""
    writes = call.app.writes
    counts = await asyncio.to_thread(writes.spool.count)
    if request.former is not None and request.former not in {each.database for each in counts}:
        raise NotFound(
            f"Nothing waits for a database {request.former}.",
            hint="See: mahavishnu spool status",
            code="spool.no_database",
        )
    done = Drained()
    if request.confirm:
        if request.former is not None:
            await asyncio.to_thread(writes.spool.redirect, request.former, writes.database)
        await asyncio.to_thread(writes.spool.retry, writes.database)
        done = await writes.drain()
        counts = await asyncio.to_thread(writes.spool.count)
    named = {writes.database, request.former}
    return DrainResult(
        confirmed=request.confirm,
        stored=done.stored,
        known=done.known,
        settled=done.settled,
        refused=done.refused,
        busy=done.busy,
        waiting=sum(each.count + each.refused for each in counts if each.database in named),
    )


def read_spool(spool: SpoolFile) -> SpoolState:
    """Return what waits in a spool."""
    refused = [
        RefusedWrite(
            id=each.id,
            kind=each.kind,
            database=each.database,
            spooled_at=each.spooled_at,
            code=each.problem[0],
            message=each.problem[1],
        )
        for each in spool.list_refused(limit=MOST_REFUSED)
        if each.problem is not None
    ]
    return SpoolState(
        waiting=[convert(each, WaitingWrites, from_attributes=True) for each in spool.count()],
        refused=refused,
        damaged=[str(each) for each in spool.list_damaged()],
    )


SPOOL_OPERATIONS: tuple[Operation[Any, Any], ...] = (
    Operation(
        name="spool_status",
        title="What waits for PostgreSQL",
        description="Writes that were taken while PostgreSQL was away, and wait on this machine: how "
        "many, since when, and those that it refused for good.",
        request=SpoolStatus,
        result=SpoolState,
        run=spool_status,
        method="GET",
        path="/spool",
        read_only=True,
    ),
    Operation(
        name="drain_spool",
        title="Store what waits",
        description="Store what waits in the spool now; it also happens by itself. Without "
        "confirm=true nothing is stored: the answer says how much waits. With `former` it stores what "
        "was meant for another database, which cannot be taken back.",
        request=DrainSpool,
        result=DrainResult,
        run=drain_spool,
        method="POST",
        path="/spool/drain",
        destructive=True,
    ),
)
