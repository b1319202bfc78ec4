"""How commands ask for memories and records: by the table of operations, as HTTP and MCP do."""

import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import Any

from msgspec import Struct

from mahavishnu.base.settings.sources import Loaded
from mahavishnu.interfaces.cli.by_daemon import SHORT, ask_daemon
from mahavishnu.interfaces.cli.options import answers, load, opened_app, parameter
from mahavishnu.interfaces.cli.render import progress
from mahavishnu.operations.operation import Call

SOURCE = "cli"  # source system of what is stored by commands
SPOOLED = (
    "store_memory",
    "record_turn",
    "record_execution",
    "create_checkpoint",
)  # which can wait for the database

type Question = Callable[[Call], Awaitable[Any]]


def prepare(operation: str, **fields: Any) -> Question:
    """Return what asks an operation; raises `UsageError` where the request cannot be answered."""
    from mahavishnu.operations.memory_table import BY_NAME  # noqa: PLC0415 - after option errors

    found = BY_NAME[operation]
    request = found.request(**fields)
    request.check()
    return lambda call: found.run(call, request)


async def ask(operation: str, *, bar: str | None = None, **fields: Any) -> Struct:
    """Ask one operation in an application of its own and return the result; `bar` as `opened_call`."""
    loaded = None
    if operation in SHORT:
        loaded = load()
        found = ask_daemon(operation, loaded, fields)
        if found is not None:
            return found
    asked = prepare(operation, **fields)
    async with opened_call(bar, required=operation not in SPOOLED, loaded=loaded) as call:
        answer: Struct = await asked(call)
        return answer


def asks(
    operation: str, show: Callable[[Any], object], *, bar: str | None = None, **fixed: Any
) -> Callable[[Callable[[], None]], Callable[..., None]]:
    """Make a command that asks one operation, with its parameters and the `fixed` ones; else as `answers`."""

    def decorate(command: Callable[[], None]) -> Callable[..., None]:
        @functools.wraps(command)
        async def run(**fields: Any) -> Struct:
            return await ask(operation, bar=bar, **fixed, **fields)

        return answers(show)(run)

    return decorate


@asynccontextmanager
async def opened_call(
    bar: str | None = None, *, required: bool = True, loaded: Loaded | None = None
) -> AsyncIterator[Call]:
    """Open the application for questions; a bar of the label `bar` shows how far they are."""
    async with opened_app(required=required, loaded=loaded) as app:
        with shown_progress(Call(app, SOURCE), bar) as call:
            yield call


@contextmanager
def shown_progress(call: Call, bar: str | None, *, about: bool = False) -> Iterator[Call]:
    """Yield the call with a bar of its own, except where JSON is printed; `about` as `progress`."""
    with progress(bar or "", quiet=bar is None or parameter("as_json"), about=about) as advance:
        done = 0.0

        async def report(now: float, total: float | None, message: str) -> None:
            nonlocal done
            advance(now - done, total, message)
            done = now

        yield replace(call, report=report)
