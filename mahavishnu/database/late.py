"""A database that may be away when the application opens: it is reached at the first use that succeeds."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Self

from mahavishnu.base.errors import MahavishnuError, Unavailable
from mahavishnu.database.migrate import read_state, require_current, upgrade
from mahavishnu.database.pool import Connection, Database, DriverConnection
from mahavishnu.database.target import Target

PAUSE_S = 5.0  # after a try that failed, so that many who ask do not wait one after the other
_NOWHERE = Target(parameters={}, direct={}, pooled=False, embedded=False, shown="", url="")

type Ensure = Callable[[], Awaitable[None]] | None
type Find = Callable[[], contextlib.AbstractAsyncContextManager[tuple[Target, Ensure]]]


class LateDatabase(Database):
    """
    A `Database` that is found and checked by `reach`, or at its first use, or at a later one where that failed.

    `find` gives where it is, for as long as its block lasts. The schema of the embedded one is brought up to
    date. Until all of that succeeds, every use raises what is in the way.
    """

    def __init__(self, find: Find, *, size: int, statement_timeout: timedelta) -> None:
        super().__init__(_NOWHERE, size=size, statement_timeout=statement_timeout)
        self._find = find
        self._stack = contextlib.AsyncExitStack()
        self._reaching = asyncio.Lock()
        self._is_open = self._reached = False
        self._failed: tuple[float, MahavishnuError] | None = None

    async def __aenter__(self) -> Self:
        """Allow its use; nothing is reached yet."""
        self._is_open = True
        return self

    async def __aexit__(self, *_: object) -> None:
        """Let go what was reached."""
        self._is_open = self._reached = False
        await self._stack.aclose()

    async def reach(self) -> None:
        """Find and check it, unless that was done; raises `MahavishnuError`, for a while the last one again."""
        self.require_open()
        if self._reached:
            return
        now = asyncio.get_running_loop().time
        async with self._reaching:
            if self._reached:
                return
            if self._failed is not None and now() < self._failed[0]:
                raise self._failed[1]
            try:
                async with contextlib.AsyncExitStack() as attempt:
                    await self._try(attempt)
                    self._stack = attempt.pop_all()
            except MahavishnuError as error:
                self._failed = (now() + PAUSE_S, error)
                raise
            self._reached = True

    async def run[T](
        self,
        work: Callable[[Connection], Awaitable[T]],
        *,
        repeatable: bool = True,
        keep_plans: bool = False,
    ) -> T:
        """Run as `Database.run`, once it can be reached."""
        await self.reach()
        return await super().run(work, repeatable=repeatable, keep_plans=keep_plans)

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Lend a connection as `Database.connection`, once it can be reached."""
        await self.reach()
        async with super().connection() as connection:
            yield connection

    @contextlib.asynccontextmanager
    async def exclusive(self, name: str) -> AsyncIterator[bool]:
        """Hold a lock as `Database.exclusive`, once it can be reached."""
        await self.reach()
        async with super().exclusive(name) as held:
            yield held

    @contextlib.asynccontextmanager
    async def snapshot(self) -> AsyncIterator[DriverConnection]:
        """Lend a connection to one moment as `Database.snapshot`, once it can be reached."""
        await self.reach()
        async with super().snapshot() as connection:
            yield connection

    def found(self) -> Target:
        """Return where it is; raises `MahavishnuError` before it was reached."""
        if not self._reached:
            raise (
                self._failed[1]
                if self._failed
                else Unavailable("The database was not reached yet.")
            )
        return self.target

    def require_open(self) -> None:
        """Raise `UsageError` outside of the `async with`."""
        if not self._is_open:
            super().require_open()

    async def _try(self, attempt: contextlib.AsyncExitStack) -> None:
        self.target, self._ensure = await attempt.enter_async_context(self._find())
        attempt.push_async_exit(super().__aexit__)
        await super().__aenter__()
        state = await super().run(read_state)
        if self.target.embedded and not state.current:
            state = await upgrade(self.target)
        require_current(state)
