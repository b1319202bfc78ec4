"""Storing one memory against its bare INSERT, and many against COPY of such rows."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np
from pgvector import HalfVector

from benchmarks.floors import Floor, Statement, Timings, ratio_goals, recording, register_halfvec
from benchmarks.loading import FLOOR_NUMBER, as_memories, as_rows, copy_rows
from benchmarks.report import Section, least
from benchmarks.world import connect_as_superuser
from mahavishnu.app import App
from mahavishnu.database.vectors import VectorTable
from mahavishnu.identifiers import new_id
from mahavishnu.memory.models import NewMemory
from mahavishnu.memory.scoping import Scopes

BULK_GOAL = 0.8
BULK_ROUNDS = 4


@dataclass(frozen=True)
class Supply:
    """Texts and vectors that were never stored; each is handed out once."""

    texts: list[str]
    vectors: np.ndarray

    def cut(self, start: int, size: int) -> "Supply":
        """Return `size` of them."""
        return Supply(self.texts[start : start + size], self.vectors[start : start + size])


async def measure_storing(
    app: App, floor: Floor, table: VectorTable, supply: Supply, *, calls: int, bulk: int
) -> Section:
    """Measure both; `supply` must hold 2 * calls + 2 * bulk."""
    started = time.monotonic()
    section = Section("Storing memories with vectors, all indexes in place")
    timings = await _store_one_by_one(
        app, floor, supply.cut(0, calls), supply.cut(calls, calls).vectors
    )
    section.add("store one", *ratio_goals(), **timings.figures())
    rates = await _store_many(app, table, supply.cut(2 * calls, 2 * bulk), size=bulk)
    section.add(
        f"store many, {bulk:,}", least("of COPY", BULK_GOAL),
        rows__per__s=rates[0], COPY__rows__per__s=rates[1], of__COPY=rates[0] / rates[1],
    )  # fmt: skip
    section.notes += [
        "Floor of one: the product's INSERT statement with another id, hash and vector. Floor of many: "
        "COPY into the same tables by the superuser, rows made ready beforehand, one transaction.",
    ]
    section.seconds = time.monotonic() - started
    return section


async def _store_one_by_one(app: App, floor: Floor, supply: Supply, fresh: np.ndarray) -> Timings:
    seconds: tuple[list[float], list[float]] = ([], [])
    async with recording(app) as recorder:
        for new, vector in zip(as_memories(supply.texts, supply.vectors), fresh, strict=True):
            before = time.perf_counter()
            await app.memories.store(new)
            seconds[0].append(time.perf_counter() - before)
            statements = [_another(statement, vector) for statement in recorder.take()]
            await floor.prepare(statements)
            before = time.perf_counter()
            await floor.replay(statements)
            seconds[1].append(time.perf_counter() - before)
    return Timings(np.array(seconds[0]), np.array(seconds[1]))


def _another(statement: Statement, vector: np.ndarray) -> Statement:
    """Return an insertion as that of another memory: of a new id, hash and vector."""

    def changed(argument: Any) -> Any:
        match argument:
            case [UUID()]:
                return [new_id()]
            case [bytes() as digest]:
                return [bytes(reversed(digest))]
            case [HalfVector()]:
                return [HalfVector(vector)]
        return argument

    return Statement(statement.sql, tuple(map(changed, statement.arguments)))


async def _store_many(
    app: App, table: VectorTable, supply: Supply, *, size: int
) -> tuple[float, float]:
    """Return rows a second of the product and of COPY, taken in turns over equal parts."""
    seconds = [0.0, 0.0]
    part = size // BULK_ROUNDS
    connection = await connect_as_superuser(app.database)
    try:
        await register_halfvec(connection)
        scope = await Scopes(app.database).place(NewMemory(content="-"))
        for number in range(2 * BULK_ROUNDS):
            own = supply.cut(number * part, part)
            news = as_memories(own.texts, own.vectors)
            rows = as_rows(news, own.vectors, [scope] * part, first=FLOOR_NUMBER + number * part)
            # Product, floor, floor, product: the graph grows, and neither side shall gain by it.
            side = (number + 1) // 2 % 2
            before = time.perf_counter()
            if side:
                await copy_rows(connection, table, rows)
            else:
                await _drain(app, news)
            seconds[side] += time.perf_counter() - before
    finally:
        await connection.close()
    return size / seconds[0], size / seconds[1]


async def _drain(app: App, news: Sequence[NewMemory]) -> None:
    async for stored in app.memories.store_many(news):
        assert stored.created and stored.embedded
