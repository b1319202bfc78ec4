"""Storing one memory against its bare INSERT, and many against COPY of such rows."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from benchmarks.floors import (
    Floor,
    Statement,
    Timings,
    ratio_goals,
    ready,
    register_halfvec,
    time_in_turns,
)
from benchmarks.loading import FLOOR_NUMBER, as_memories, as_rows, copy_rows
from benchmarks.report import Section, least
from benchmarks.world import connect_as_superuser
from mahavishnu.app import App
from mahavishnu.base.identifiers import new_id
from mahavishnu.database.vectors import VectorTable
from mahavishnu.embedding.documents import EmbeddedChunk
from mahavishnu.memory.insertion import build_batch, insertion
from mahavishnu.memory.models import NewMemory, utc_now
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
        app, floor, table, supply.cut(0, calls), supply.cut(calls, calls)
    )
    section.add("store one", *ratio_goals(), **timings.figures())
    rates = await _store_many(app, table, supply.cut(2 * calls, 2 * bulk), size=bulk)
    section.add(
        f"store many, {bulk:,}", least("of COPY", BULK_GOAL),
        rows__per__s=rates[0], COPY__rows__per__s=rates[1], of__COPY=rates[0] / rates[1],
    )  # fmt: skip
    section.notes += [
        "Floor of one: the product's INSERT statement with other memories of the same kind. Floor of many: "
        "COPY into the same tables by the superuser, rows made ready beforehand, one transaction.",
    ]
    section.seconds = time.monotonic() - started
    return section


async def _store_one_by_one(
    app: App, floor: Floor, table: VectorTable, supply: Supply, others: Supply
) -> Timings:
    """Time the product on `supply`, and its own INSERT on `others`: the same kind, not the same words."""
    scope = await Scopes(app.database).place(NewMemory(content="-"))
    statements = []
    for new in as_memories(others.texts, others.vectors):
        placed = replace(new, id=new_id(), occurred_at=utc_now())
        [vector] = others.vectors[len(statements) : len(statements) + 1]
        chunk = EmbeddedChunk(0, len(new.content), vector.astype(float).tolist())
        sql, arrays = insertion(build_batch([(placed, scope)], [[chunk]]), table)
        statements.append(Statement(sql, tuple(map(ready, arrays))))
    await floor.prepare(statements[:1])
    return await time_in_turns(
        [partial(app.memories.store, new) for new in as_memories(supply.texts, supply.vectors)],
        [partial(floor.replay, [statement]) for statement in statements],
    )


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
