"""Notice a transaction-mode pooler where an address has to lead to the server itself."""

import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from mahavishnu.base.errors import UsageError

ROUNDS = 10  # each shows a pooler unless others take its connections just then, or it hands them out in turn


class SessionConnection(Protocol):
    """What is asked of a connection here."""

    def get_server_pid(self) -> int:
        """Return the server process that was named when the connection began."""

    def transaction(self) -> contextlib.AbstractAsyncContextManager[Any]:
        """Hold one server process meanwhile."""

    async def fetchval(self, query: str, /) -> Any:
        """Return the first value of the answer."""

    async def close(self) -> None:
        """Close it."""


async def require_session(
    connection: SessionConnection, open_second: Callable[[], Awaitable[SessionConnection]]
) -> None:
    """
    Refuse a connection whose statements a pooler sends to whatever server process is free.

    A pooler names another process at the start than the one that answers. One that keeps sessions
    does so too: only two clients in one process, or one client in two, prove that it does not. The
    connection must not use the statement cache.

    Raises:
        UsageError: `database.pooler`.
    """
    own = await _find_process(connection)
    if own == connection.get_server_pid():
        return
    second = await open_second()
    try:
        for _ in range(ROUNDS):
            other = await _find_process(second)
            if other == own or await _find_process(connection) != own:
                raise behind_pooler("The address leads to a pooler that keeps no sessions.")
    finally:
        await second.close()


def behind_pooler(message: str) -> UsageError:
    """Return the error for an address that leads to a pooler without the settings saying so."""
    return UsageError(
        message,
        hint="Leave that address in MAHAVISHNU_PG_DSN, and set MAHAVISHNU_PG_DIRECT_DSN to one that "
        "leads to the server itself; migrations go there.",
        code="database.pooler",
    )


async def _find_process(connection: SessionConnection) -> int:
    async with connection.transaction():  # else each message of one query may go to another process
        found: int = await connection.fetchval("SELECT pg_backend_pid()")
    return found
