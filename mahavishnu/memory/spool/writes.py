"""Where writes are handed in: to the database, or to the spool while that is away, and in order either way."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence

from mahavishnu.base.errors import Corrupt, MahavishnuError, Unavailable
from mahavishnu.base.logs import get_logger
from mahavishnu.memory.conversations import NewTurn, check_turn
from mahavishnu.memory.duplicates import places_that_stand
from mahavishnu.memory.models import NewMemory, Stored, check_new_memory
from mahavishnu.memory.records import NewExecution, check_execution
from mahavishnu.memory.spool.drain import Destination, Drained, drain
from mahavishnu.memory.spool.entries import Write, is_away, write_down
from mahavishnu.memory.spool.file import SpoolEntry, SpoolFile

PASSING_S = 2.0  # for what waits, by who has something else to do
PAUSE_S = 5.0  # after nobody could be reached, which takes seconds to find out
_log = get_logger(__name__)


class Writes:
    """
    Stores what is handed in; while the database is away, it waits in the spool of this machine.

    Of what waits, `Stored.waits` says why. What waits is stored before anything new, so that what one machine
    wrote keeps its order. Every method raises what the database refuses a write with, also where the spool
    does not take it either. `drained` is called with what became of writes that were stored without being asked to.
    """

    def __init__(
        self,
        destination: Destination,
        spool: SpoolFile,
        drained: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.spool = spool
        self._drained = drained
        self._destination = destination
        self._away: tuple[float, MahavishnuError] | None = None  # until when, and why

    @property
    def database(self) -> str:
        """The name of the database that they are for."""
        return self._destination.name

    async def store(self, new: NewMemory) -> Stored:
        """Keep one memory."""
        [stored] = await self.store_batch([new])
        return stored

    async def store_batch(self, news: Sequence[NewMemory]) -> list[Stored]:
        """Keep up to a batch of memories, all or none."""
        news = [check_new_memory(new) for new in news]
        places_that_stand(news, by_key=False)  # of two texts with one id neither can be kept
        return await self._keep(news, lambda: self._destination.memories.store_batch(news))

    async def record_turn(self, turn: NewTurn) -> Stored:
        """Keep one turn of a conversation, as `Conversations.record` does."""
        check_turn(turn)
        [stored] = await self._keep([turn], lambda: self._destination.conversations.record([turn]))
        return stored

    async def record_execution(self, new: NewExecution) -> Stored:
        """Keep a report of an execution, as `Records.record_execution` does; the id is that of its row."""
        check_execution(new)

        async def record() -> list[Stored]:
            identifier = await self._destination.records.record_execution(new)
            return [Stored(identifier, created=identifier == new.id, embedded=False)]

        [stored] = await self._keep([new], record)
        return stored

    async def drain(self, *, budget_s: float = math.inf) -> Drained:
        """Store what waits for this database; raises as `drain`."""
        done = await drain(self.spool, self._destination, budget_s=budget_s)
        self._away = None
        return done

    async def drain_if_any(self, *, budget_s: float = PASSING_S) -> None:
        """Store what waits, as far as that can be done now."""
        try:
            if await self._has_waiting():
                done = await self._drain_unasked(budget_s=budget_s)
                _log.info("spool_drained", stored=done.stored, known=done.known)
        except MahavishnuError as error:
            _log.info("spool_waits", code=error.code, reason=error.message)

    async def _keep(
        self, writes: Sequence[Write], store: Callable[[], Awaitable[list[Stored]]]
    ) -> list[Stored]:
        """Store in the database, or keep here what it cannot take now, or what others come before."""
        now = asyncio.get_running_loop().time
        if self._away is not None and now() < self._away[0]:
            return await self._put_down(writes, self._away[1])
        try:
            if await self._is_clear():
                return await store()
            why: MahavishnuError = Unavailable(
                "What came before it is being stored.", code="spool.draining"
            )
        except MahavishnuError as error:
            if not is_away(error):
                raise
            why = error
            if error.code == "database.unreachable":
                self._away = (now() + PAUSE_S, error)
        return await self._put_down(writes, why)

    async def _is_clear(self) -> bool:
        """Store what waits, and tell whether nothing waits any more; a spool that cannot be read stops nobody."""
        try:
            if not await self._has_waiting():
                return True
            done = await self._drain_unasked(budget_s=PASSING_S)
        except MahavishnuError as error:
            if is_away(error):
                raise
            _log.info("spool_unusable", code=error.code, reason=error.message)
            return True
        return not (done.busy or done.left)

    async def _drain_unasked(self, *, budget_s: float) -> Drained:
        done = await self.drain(budget_s=budget_s)
        counts = {name: getattr(done, name) for name in ("stored", "known", "settled", "refused")}
        if any(counts.values()):
            told = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)
            await asyncio.to_thread(self._drained, told)
        return done

    async def _has_waiting(self) -> bool:
        return self.spool.is_there and await asyncio.to_thread(
            self.spool.has_waiting, self.database
        )

    async def _put_down(self, writes: Sequence[Write], why: MahavishnuError) -> list[Stored]:
        entries = [write_down(each, self.database) for each in writes]
        try:
            await asyncio.to_thread(self._append, entries)
        except MahavishnuError as error:
            if error.code == "memory.id_taken":
                raise
            raise type(why)(
                f"{why.message} Nor can the write wait on this machine: {error.message}",
                hint=why.hint or error.hint,
                code=why.code,
            ) from error
        waits = " ".join(filter(None, (why.message, why.hint)))
        return [Stored(each.id, created=True, embedded=False, waits=waits) for each in entries]

    def _append(self, entries: Sequence[SpoolEntry]) -> None:
        try:
            self.spool.append(entries)
        except Corrupt:
            self.spool.append_anew(entries)
