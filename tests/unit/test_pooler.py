"""Telling a transaction-mode pooler from a server, and from a pooler that keeps sessions."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from itertools import cycle, repeat

import pytest

from mahavishnu.base.errors import UsageError
from mahavishnu.database.pooler import require_session


class FakeConnection:
    """A connection that was told one server process at its start, and is answered by others."""

    def __init__(self, told: int, answering: Iterator[int]) -> None:
        self._told, self._answering = told, answering

    def get_server_pid(self) -> int:
        return self._told

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        yield

    async def fetchval(self, _: str) -> int:
        return next(self._answering)

    async def close(self) -> None:
        pass


def opening(connection: FakeConnection) -> Callable[[], Awaitable[FakeConnection]]:
    async def open_second() -> FakeConnection:
        return connection

    return open_second


@pytest.mark.parametrize(
    ("told", "first", "second"),
    [(7, repeat(7), repeat(8)), (1, repeat(7), repeat(8))],
    ids=["server", "pooler that keeps sessions"],
)
async def test_a_connection_with_a_session_of_its_own_is_taken(
    told: int, first: Iterator[int], second: Iterator[int]
) -> None:
    await require_session(FakeConnection(told, first), opening(FakeConnection(2, second)))


@pytest.mark.parametrize(
    ("first", "second"),
    [(repeat(7), repeat(7)), (cycle([7, 9]), repeat(8))],
    ids=["idle", "busy"],
)
async def test_a_pooler_that_keeps_no_sessions_is_refused(
    first: Iterator[int], second: Iterator[int]
) -> None:
    with pytest.raises(UsageError) as refused:
        await require_session(FakeConnection(1, first), opening(FakeConnection(2, second)))
    assert refused.value.code == "database.pooler"
