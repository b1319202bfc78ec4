"""The event loop that the database's connections belong to, for callers of any thread and any loop."""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from functools import wraps
from typing import Any, Concatenate

from mahavishnu.base.errors import UsageError


class OwnerLoop:
    """Runs what touches the connections on the loop that they belong to."""

    def __init__(self) -> None:
        """Take the running loop."""
        self._loop = asyncio.get_running_loop()

    async def run[T](self, work: Coroutine[Any, Any, T]) -> T:
        """Do the work on the owner's loop, wherever the caller is."""
        if asyncio.get_running_loop() is self._loop:
            return await work
        return await asyncio.wrap_future(self._submit(work))

    def run_sync[T](self, work: Coroutine[Any, Any, T]) -> T:
        """
        Do the work on the owner's loop, and wait for it.

        Raises:
            UsageError: `engine.would_wait`: on that loop itself it could never end.
        """
        try:
            is_owner = asyncio.get_running_loop() is self._loop
        except RuntimeError:
            is_owner = False
        if is_owner:
            work.close()
            raise UsageError(
                "A plain call on the application's own event loop would wait for itself.",
                hint="Await the asynchronous method, or open the application by open_llamaindex().",
                code="engine.would_wait",
            )
        return self._submit(work).result()

    def _submit[T](self, work: Coroutine[Any, Any, T]) -> Future[T]:
        if self._loop.is_closed():
            work.close()
            raise UsageError(
                "The application is closed.", hint="Use it inside its `with`.", code="usage.closed"
            )
        return asyncio.run_coroutine_threadsafe(work, self._loop)


def on_owner[**P, R](
    work: Callable[Concatenate[Any, P], Coroutine[Any, Any, R]],
) -> tuple[Callable[Concatenate[Any, P], R], Callable[Concatenate[Any, P], Coroutine[Any, Any, R]]]:
    """Return two methods that do `work` on the loop of `self._owner`: a plain one that waits, an asynchronous one."""

    @wraps(work)
    def wait(self: Any, /, *words: P.args, **named: P.kwargs) -> R:
        return self._owner.run_sync(work(self, *words, **named))  # type: ignore[no-any-return]

    @wraps(work)
    async def run(self: Any, /, *words: P.args, **named: P.kwargs) -> R:
        return await self._owner.run(work(self, *words, **named))  # type: ignore[no-any-return]

    return wait, run
