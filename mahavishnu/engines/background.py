"""The application in a thread of its own, for programs with event loops of their own, or with none."""

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from mahavishnu.base.errors import UsageError
from mahavishnu.base.extras import require_enabled

if TYPE_CHECKING:
    from mahavishnu import App

POOL_SIZE = 2


class BackgroundApp:
    """
    Does an engine's work with the application, asked from any thread.

    The first work opens it; where that fails, the next one tries again. `close` ends the thread.
    """

    def __init__(self, engine: str) -> None:
        self._engine = engine
        self._reset()

    def _reset(self) -> None:
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._opening = asyncio.Lock()
        self._stack = AsyncExitStack()
        self._app: App | None = None
        self._closed = False

    def begin[T](self, work: Callable[[], Coroutine[Any, Any, T]]) -> Future[T]:
        loop = self._running()
        return asyncio.run_coroutine_threadsafe(work(), loop)

    def ask[T](self, work: "Callable[[App], Awaitable[T]]") -> T:
        """Do work with the open application and wait for it: not in the thread of an event loop."""

        async def do() -> T:
            return await work(await self.opened())

        return self.begin(do).result()

    async def opened(self) -> "App":
        """
        Return the open application; to be awaited in the thread.

        Raises:
            MahavishnuError: it cannot be opened, or its settings turn the engine off.
        """
        async with self._opening:
            if self._app is None:
                from mahavishnu import open_app  # noqa: PLC0415 - imports the database's driver

                app = await self._stack.enter_async_context(open_app(pool_size=POOL_SIZE))
                try:
                    require_enabled(self._engine, getattr(app.settings.adapters, self._engine))
                except UsageError:
                    await self._stack.aclose()
                    raise
                self._app = app
            return self._app

    def close(self) -> None:
        """Cancel what goes on, close the application and end the thread; again it does nothing."""
        if self._process != os.getpid():
            return
        with self._lock:
            self._closed = True
            loop, thread, self._thread = self._loop, self._thread, None
        if loop is None or thread is None:
            return
        asyncio.run_coroutine_threadsafe(self._end(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

    def _running(self) -> asyncio.AbstractEventLoop:
        """Return the loop of the thread, which the first caller starts, and in a fork the first one there."""
        if self._process != os.getpid():
            self._inherited = (
                self._stack,
                self._app,
            )  # not ours to close: the parent uses the connections
            self._reset()
        with self._lock:
            if self._closed:
                raise UsageError("It is closed.", hint="Make a new one.", code="usage.closed")
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=self._loop.run_forever, name=f"mahavishnu-{self._engine}", daemon=True
                )
                self._thread.start()
            return self._loop

    async def _end(self) -> None:
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._stack.aclose()
