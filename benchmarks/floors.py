"""
The floor of a call: what the product sent to PostgreSQL for it, sent again through bare asyncpg.

The statements and arguments are recorded from the product itself, so that they are identical by
construction; looking up scopes, counts and duplicates is the product's own affair and left out.
"""

import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg
import numpy as np
from pgvector import HalfVector

from benchmarks.report import Goal, most
from mahavishnu.app import App
from mahavishnu.database.pool import SESSION_SETTINGS, Database
from mahavishnu.memory.statements import load_memory_queries

RATIO_GOAL = 1.3
BOOKKEEPING = frozenset(
    (
        *load_memory_queries("scopes").values(),
        load_memory_queries("memories")["find_stored"],
        load_memory_queries("memories")["purge_expired"],
        load_memory_queries("memories")["select_matching"],
        load_memory_queries("models")["active_model"],
    )
)
SQL_START = ("SELECT", "WITH", "INSERT", "DELETE", "UPDATE", "--")


@dataclass(frozen=True)
class Statement:
    """One statement of the product with its arguments, vectors made ready to be sent."""

    sql: str
    arguments: tuple[Any, ...]


class Recorder:
    """Writes down what the product sends while its single connection is listened to."""

    def __init__(self) -> None:
        """Begin with an empty sheet."""
        self.seen: list[Statement] = []

    def take(self) -> list[Statement]:
        """Return what was sent since the last time, without the bookkeeping."""
        taken, self.seen = self.seen, []
        return [statement for statement in taken if statement.sql not in BOOKKEEPING]

    def __call__(self, logged: Any) -> None:
        """Be told of a statement by the driver."""
        if logged.query.lstrip().startswith(SQL_START):
            self.seen.append(Statement(logged.query, tuple(map(ready, logged.args))))


@contextlib.asynccontextmanager
async def recording(app: App) -> AsyncIterator[Recorder]:
    """Yield a recorder of what `app`, whose pool must have one connection, sends meanwhile."""
    recorder = Recorder()
    async with app.connection() as connection:
        connection.add_query_logger(recorder)
    recorder.take()
    yield recorder
    async with app.connection() as connection:
        connection.remove_query_logger(recorder)


class Floor:
    """A bare connection with the product's session settings; each statement is prepared once."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        """Take over a connection of `connect`."""
        self.connection = connection
        self._prepared: dict[str, Any] = {}

    async def prepare(self, statements: Sequence[Statement]) -> None:
        """Prepare what is not prepared yet."""
        for statement in statements:
            if statement.sql not in self._prepared:
                self._prepared[statement.sql] = await self.connection.prepare(statement.sql)

    async def replay(self, statements: Sequence[Statement]) -> None:
        """Send the statements one after the other and fetch all rows."""
        for statement in statements:
            await self._prepared[statement.sql].fetch(*statement.arguments)


@contextlib.asynccontextmanager
async def connect(database: Database) -> AsyncIterator[Floor]:
    """Yield a floor on the product's database, as the product's role."""
    connection = await asyncpg.connect(
        **database.target.parameters,
        server_settings={**SESSION_SETTINGS, "application_name": "floor"},
    )
    try:
        await register_halfvec(connection)
        yield Floor(connection)
    finally:
        await connection.close()


async def register_halfvec(connection: asyncpg.Connection) -> None:
    """Send vectors as they are, in binary."""
    await connection.set_type_codec(
        "halfvec",
        schema="public",
        encoder=lambda value: value.to_binary(),
        decoder=HalfVector.from_binary,
        format="binary",
    )


@dataclass(frozen=True)
class Timings:
    """Seconds of each call of the product and of its floor, taken in turns."""

    product: np.ndarray
    floor: np.ndarray

    def figures(self) -> dict[str, float]:
        """Return both medians, both 95th percentiles and their ratios."""
        figures: dict[str, float] = {}
        for place in (50, 95):
            product, floor = (
                float(np.percentile(part, place)) * 1000 for part in (self.product, self.floor)
            )
            figures |= {
                f"p{place}__ms": product,
                f"floor__p{place}": floor,
                f"ratio__p{place}": product / floor,
            }
        return figures


def ratio_goals() -> tuple[Goal, ...]:
    """Return the goals for both ratios of `Timings`."""
    return most("ratio p50", RATIO_GOAL), most("ratio p95", RATIO_GOAL)


async def time_in_turns(
    product: Sequence[Callable[[], Awaitable[Any]]], floor: Sequence[Callable[[], Awaitable[Any]]]
) -> Timings:
    """Call both sides alternately, the one that goes first changing each time."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for number, pair in enumerate(zip(product, floor, strict=True)):
        for side in (0, 1) if number % 2 else (1, 0):
            started = time.perf_counter()
            await pair[side]()
            seconds[side].append(time.perf_counter() - started)
    return Timings(np.array(seconds[0]), np.array(seconds[1]))


def ready(argument: Any) -> Any:
    """Return an argument with its vectors in the form that is sent."""
    if isinstance(argument, list) and argument:
        if isinstance(argument[0], float) and len(argument) > 100:
            return HalfVector(argument)
        if isinstance(argument[0], list) and argument[0] and isinstance(argument[0][0], float):
            return [HalfVector(value) for value in argument]
        if isinstance(argument[0], dict):
            return [json.dumps(value) for value in argument]
    return argument
