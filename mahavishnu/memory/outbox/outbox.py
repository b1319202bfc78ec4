"""
Deliver the change feed to targets, and keep what they refuse.

The number of a change is drawn before its transaction commits, so a lower one may appear after a higher one was read.
Below `pg_snapshot_xmin` all have ended: the feed is read in windows of such transactions, and by number within one.
"""

import math
import time
from collections.abc import Awaitable, Sequence
from contextlib import AbstractAsyncContextManager

import asyncpg
from msgspec import structs

from mahavishnu.base.errors import MahavishnuError, NotFound, Unavailable
from mahavishnu.base.logs import get_logger
from mahavishnu.base.telemetry.spans import SpanOrigins, SpanValue, is_collecting, span
from mahavishnu.database.pool import Connection, Database
from mahavishnu.database.queries import load_queries
from mahavishnu.memory.outbox.port import DeliveryRefusal, MemoryChange, SyncTarget
from mahavishnu.memory.outbox.states import DeadLetter, Ran, TargetState
from mahavishnu.memory.store import IDS_IN_SPAN, MemoryStore

BATCH = 100  # changes that are delivered together; their memories may have 1 MiB each
MAX_ATTEMPTS = 8  # at one change
BASE_S, LONGEST_S = 1.0, 300.0  # between two attempts
MAX_PENDING = 10_000  # how far a status counts
MAX_DEAD = 100  # of which a status tells, and that are tried again together
_QUERIES = load_queries("outbox")
_log = get_logger(__name__)

# A window of transactions, from and to, and a number: delivered is what is below, and within it up to the number.
type _Position = tuple[int, int, int]


class Outbox:
    """The targets of one's own changes. Every delivery is made under the lock of its target."""

    def __init__(
        self,
        database: Database,
        memories: MemoryStore,
        targets: Sequence[SyncTarget],
        origins: SpanOrigins | None = None,
    ) -> None:
        self._database = database
        self._memories = memories
        self._targets = targets
        self.names = [each.name for each in targets]
        self._origins = origins or SpanOrigins()
        self._level: dict[str, tuple[_Position, int]] = {}

    @property
    def is_on(self) -> bool:
        """Whether the settings name a target."""
        return bool(self._targets)

    async def run(
        self, only: str | None = None, *, force: bool = False, budget_s: float = math.inf
    ) -> list[Ran]:
        """
        Deliver to each target what it lacks; with `force` also where the next attempt is not due.

        `only` names the one target that is meant; after `budget_s` no further page is begun. What a target meets is
        in its `Ran`; raises where the database cannot be used.
        """
        until = time.monotonic() + budget_s
        wanted = [each for each in self._targets if only in (None, each.name)]
        return [await self._run(target, until, force=force) for target in wanted]

    async def status(self) -> list[TargetState]:
        """Return how far each target is: those of the settings, and others that the database knows."""
        taken = [each.collections and ",".join(each.collections) for each in self._targets]
        rows = await self._fetch("list_targets", self.names, MAX_PENDING, taken)
        return [TargetState(configured=row["name"] in self.names, **row) for row in rows]

    async def count_pending(self, target: str) -> int:
        """Return how many changes a target lacks, counted to `MAX_PENDING`."""
        return sum(each.pending for each in await self.status() if each.name == target)

    async def list_dead(self) -> list[DeadLetter]:
        """Return what was refused, by target, oldest first, at most `MAX_DEAD`."""
        rows = await self._fetch("find_dead", None, None, MAX_DEAD)
        return [_letter(row) for row in rows]

    async def count_dead(self) -> int:
        """Return how many changes were refused."""
        [row] = await self._fetch("count_dead")
        count: int = row[0]
        return count

    async def retry(self, ids: Sequence[str] = ()) -> list[Ran]:
        """
        Deliver dead letters of the settings' targets once more, with their memories as they are now.

        All, or by the digits that their ids end with; raises `NotFound` where there is no such dead letter.
        """
        wanted = {letter.target for letter in await self._find_dead(None, ids)}
        return [await self._retry(each, ids) for each in self._targets if each.name in wanted]

    async def drop(
        self, target: str, ids: Sequence[str] = (), *, dry_run: bool = False
    ) -> list[DeadLetter]:
        """
        Give up dead letters of a target; without ids the whole target, which starts over if it is still configured.

        Raises:
            NotFound: there is no such target, or no such dead letter.
        """
        if not await self._fetch("find_target", target, LONGEST_S):
            raise NotFound(
                f"The database knows no target {target}.",
                hint="See: mahavishnu sync status",
                code="sync.no_target",
            )
        letters = await self._find_dead(target, ids)
        if not dry_run:
            doomed = [letter.memory_id for letter in letters]
            await (
                self._fetch("drop_dead", target, doomed)
                if ids
                else self._fetch("drop_target", target)
            )
        return letters

    async def _find_dead(self, target: str | None, ids: Sequence[str]) -> list[DeadLetter]:
        digits = _digits(ids)
        rows = await self._fetch("find_dead", target, digits, MAX_DEAD)
        found = [_letter(row) for row in rows]
        for each in digits or ():
            if not any(letter.memory_id.hex.endswith(each) for letter in found):
                raise NotFound(
                    f"No target refused a memory with the id {each}.",
                    hint="See: mahavishnu sync status",
                    code="sync.not_dead",
                )
        return found

    async def _run(self, target: SyncTarget, until: float, *, force: bool) -> Ran:
        at = await self._look(target)
        if not (force or at["due"]):
            return Ran(target.name, "waiting")
        if not force and await self._is_level(target, at):
            return Ran(target.name, "done")
        ran = Ran(target.name, "done")
        async with self._exclusive(at) as free:
            if not free:
                return structs.replace(ran, ending="busy")
            try:
                at = await self._ready(target)
                while ran.ending == "done" and (page := await self._page(target, at)):
                    ran += await self._step(target, at, page)
                    at = await self._look(target)
                    if time.monotonic() >= until:
                        return ran
            except _TargetFailed as failed:
                await self._note_failure(at, failed.problem, at["refused_no"], at["refusals"])
                return ran + _failed(target, failed.problem)
            if ran.ending == "done" and at["attempts"]:  # it failed before, and lacks nothing now
                ran += await self._move(target, _position(at), _position(at), ())
        return ran

    async def _retry(self, target: SyncTarget, ids: Sequence[str]) -> Ran:
        at = await self._look(target)
        ran = Ran(target.name, "done")
        async with self._exclusive(at) as free:
            if not free:
                return structs.replace(ran, ending="busy")
            rows = await self._fetch("find_dead", target.name, _digits(ids), MAX_DEAD)
            try:
                await _asked(target.open())
                for change in await self._changes(rows, at["owner"]):
                    refusal = await _asked(target.deliver([change]))
                    if refusal is None:
                        await self._fetch("drop_dead", target.name, [change.memory_id])
                        ran += Ran(target.name, "done", delivered=1)
                    else:
                        ran += await self._bury(target, change, refusal, attempts=1)
            except _TargetFailed as failed:
                return ran + _failed(target, failed.problem)
        return ran

    async def _look(self, target: SyncTarget) -> asyncpg.Record:
        """Return the row of a target, which is made where it is missing."""
        rows = await self._fetch("find_target", target.name, LONGEST_S)
        while not rows:
            await self._fetch("add_target", target.name)
            rows = await self._fetch("find_target", target.name, LONGEST_S)
        return rows[0]

    async def _ready(self, target: SyncTarget) -> asyncpg.Record:
        """Open a target; another instance starts over with the first change, and on another server each does."""
        instance = await _asked(target.open())
        at = await self._look(target)
        if (instance, at["server_now"]) == (at["instance"], at["server"]):
            return at

        async def begin(connection: Connection) -> None:
            async with connection.transaction():
                await connection.execute(_QUERIES["adopt_changes"])
                values = target.name, instance, at["server_now"]
                await connection.execute(_QUERIES["begin_target"], *values)

        await self._database.run(begin)
        _log.info("outbox_target_begins", target=target.name)
        return await self._look(target)

    async def _page(
        self, target: SyncTarget, at: asyncpg.Record
    ) -> tuple[int, int, list[MemoryChange]] | None:
        """
        Return the window and the changes that come next; None where nothing does, or not for certain yet.

        There are no changes where those of the window are of collections that the target does not want.
        """
        wanted = target.collections

        async def read(connection: Connection) -> tuple[_Position, list[asyncpg.Record]] | None:
            now = _position(at)
            while True:
                rows = await connection.fetch(_QUERIES["read_window"], *now, BATCH, wanted)
                if rows or (
                    wanted is not None
                    and await connection.fetch(_QUERIES["read_window"], *now, 1, None)
                ):
                    return now, rows
                horizon = await connection.fetchval(_QUERIES["read_horizon"])
                if horizon <= now[1]:
                    return None
                now = now[1], horizon, 0

        found = await self._database.run(read)
        if found is None:
            return None
        (start, end, _), rows = found
        return start, end, await self._changes(rows, at["owner"])

    async def _is_level(self, target: SyncTarget, at: asyncpg.Record) -> bool:
        """Return whether a target lacks nothing; known without a look while no transaction ends and it stays there."""
        if at["server"] != at["server_now"]:
            return False
        seen = _position(at), at["horizon"]
        if self._level.get(target.name) != seen:
            if await self._page(target, at) is not None:
                return False
            self._level[target.name] = seen
        return True

    async def _changes(self, rows: Sequence[asyncpg.Record], owner: str) -> list[MemoryChange]:
        found = await self._memories.get_many([row["memory_id"] for row in rows])
        own = {memory.id: memory for memory in found if memory.owner == owner}
        return [
            MemoryChange(
                number=row["change_no"], xid=row["xid"], kind=row["kind"], memory_id=row["memory_id"],
                changed_at=row["changed_at"], memory=own.get(row["memory_id"]),
            )
            for row in rows
        ]  # fmt: skip

    async def _step(
        self, target: SyncTarget, at: asyncpg.Record, page: tuple[int, int, list[MemoryChange]]
    ) -> Ran:
        """Deliver a page, and note what became of it; a change that is refused too often holds up no other."""
        start, end, changes = page
        before = _position(at)
        origins = self._origins.find(each.memory_id for each in changes if each.kind == "stored")
        with span("deliver changes", _describe(target, changes), origins=origins) as seen:
            refusal = await _asked(target.deliver(changes)) if changes else None
            if refusal is not None:
                seen.fail(refusal.code)
        if refusal is None:
            whole = len(changes) < BATCH
            after = (end, end, 0) if whole else (start, end, changes[-1].number)
            return await self._move(target, before, after, changes)
        taken, refused = changes[: refusal.index], changes[refusal.index]
        ran = Ran(target.name, "done")
        if taken:
            reached = start, end, taken[-1].number
            ran, before = await self._move(target, before, reached, taken), reached
        refusals = 1 + (at["refusals"] if at["refused_no"] == refused.number else 0)
        if ran.ending != "done":
            return ran
        if refusal.final or refusals >= MAX_ATTEMPTS:
            ran += await self._bury(target, refused, refusal, attempts=refusals)
            return ran + await self._move(target, before, (start, end, refused.number), ())
        problem = Unavailable(refusal.message, code=refusal.code)
        await self._note_failure(at, problem, refused.number, refusals)
        return ran + _failed(target, problem)

    async def _move(
        self, target: SyncTarget, before: _Position, after: _Position, taken: Sequence[MemoryChange]
    ) -> Ran:
        """Note how far a target is; whoever finds another position there has lost the lock meanwhile."""
        ids = [change.memory_id for change in taken]
        [row] = await self._fetch("move_target", target.name, *before, *after, ids)
        return Ran(target.name, "done" if row[0] else "busy", delivered=len(taken))

    async def _bury(
        self, target: SyncTarget, change: MemoryChange, refusal: DeliveryRefusal, *, attempts: int
    ) -> Ran:
        values = change.memory_id, change.number, attempts, refusal.code, refusal.message
        await self._fetch("bury", target.name, *values)
        _log.warning(
            "outbox_refused", target=target.name, id=str(change.memory_id), code=refusal.code
        )
        return Ran(target.name, "done", dead=1)

    async def _note_failure(
        self, at: asyncpg.Record, problem: MahavishnuError, refused_no: int | None, refusals: int
    ) -> None:
        values = BASE_S, LONGEST_S, refused_no, refusals, problem.code, problem.message
        await self._fetch("note_failure", at["name"], *values)
        _log.info("outbox_failed", target=at["name"], code=problem.code)

    def _exclusive(self, at: asyncpg.Record) -> AbstractAsyncContextManager[bool]:
        return self._database.exclusive(f"outbox {at['owner']} {at['name']}")

    async def _fetch(self, query: str, *values: object) -> list[asyncpg.Record]:
        return await self._database.run(lambda c: c.fetch(_QUERIES[query], *values))


class _TargetFailed(Exception):
    """A target could take nothing."""

    def __init__(self, problem: MahavishnuError) -> None:
        super().__init__(problem.message)
        self.problem = problem


def _describe(target: SyncTarget, changes: Sequence[MemoryChange]) -> dict[str, SpanValue]:
    """Return what a span says of a delivery."""
    if not is_collecting():
        return {}
    ids = [str(each.memory_id) for each in changes[:IDS_IN_SPAN]]
    return {
        "mahavishnu.sync.target": target.name.partition("@")[0],  # not the path behind it
        "mahavishnu.memory.count": len(changes),
        "mahavishnu.memory.ids": ids,
    }


async def _asked[T](work: Awaitable[T]) -> T:
    """Return what a target answers; its errors raise `_TargetFailed`, unlike those of the database."""
    try:
        return await work
    except MahavishnuError as error:
        raise _TargetFailed(error) from error


def _failed(target: SyncTarget, problem: MahavishnuError) -> Ran:
    return Ran(target.name, "failed", error_code=problem.code, error=problem.message)


def _position(at: asyncpg.Record) -> _Position:
    return at["from_xid"], at["to_xid"], at["after_no"]


def _letter(row: asyncpg.Record) -> DeadLetter:
    return DeadLetter(**{name: row[name] for name in DeadLetter.__struct_fields__})


def _digits(ids: Sequence[str]) -> list[str] | None:
    return [each.replace("-", "").lower() for each in ids] or None
