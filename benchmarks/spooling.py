"""Keeping a write while PostgreSQL is away, beside a synced append; storing what waits, beside storing at once."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

from benchmarks.report import Section
from benchmarks.world import open_product
from mahavishnu.memory.models import NewMemory
from mahavishnu.memory.spool.entries import write_down
from mahavishnu.memory.spool.file import SpoolFile

WRITES = 200
DRAINED = 4_000
ROUNDS = 3
_WORDS = "The staging key rotates on Mondays, and the one of production by hand. "


async def measure_spooling(home: Path) -> Section:
    """Measure both, in turns with their floors."""
    began = time.monotonic()
    section = Section("The spool: writes while the database is away")
    _measure_writes(section, SpoolFile(home / "spooling"), home / "plain")
    await _measure_draining(section, home)
    section.notes.append(
        f"keep one: medians of {ROUNDS} rounds of {WRITES}; floor: open a file, append the same bytes, fsync, close. "
        f"store what waited: medians of {ROUNDS} rounds of {DRAINED:,}; floor: the same number by `store_many`, "
        "without vectors either."
    )
    section.seconds = time.monotonic() - began
    return section


def _measure_writes(section: Section, file: SpoolFile, plain: Path) -> None:
    entries = (write_down(new, "embedded") for new in _news(2 * ROUNDS * WRITES, "w"))

    def append_synced() -> None:
        descriptor = os.open(plain, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.write(descriptor, next(entries).body)
        os.fsync(descriptor)
        os.close(descriptor)

    ours, floor = [], []
    for _ in range(ROUNDS):
        ours.append(_time_each(lambda: file.append([next(entries)])))
        floor.append(_time_each(append_synced))
    section.add(
        "keep one", writes__per__s=1 / median(ours), ms=1000 * median(ours),
        floor__ms=1000 * median(floor), ratio=median(ours) / median(floor),
    )  # fmt: skip


async def _measure_draining(section: Section, home: Path) -> None:
    ours, floor = [], []
    async with open_product(home, MAHAVISHNU_EMBEDDING_PROVIDER="none") as app:
        for number in range(ROUNDS):
            news = _news(DRAINED, f"d{number}")
            app.writes.spool.append([write_down(new, app.writes.database) for new in news])
            before = time.perf_counter()
            done = await app.writes.drain()
            ours.append(time.perf_counter() - before)
            assert done.stored == DRAINED, done
            before = time.perf_counter()
            async for _ in app.memories.store_many(_news(DRAINED, f"s{number}"), embed=False):
                pass
            floor.append(time.perf_counter() - before)
    section.add(
        "store what waited", writes__per__s=DRAINED / median(ours), ms=1000 * median(ours) / DRAINED,
        floor__ms=1000 * median(floor) / DRAINED, ratio=median(ours) / median(floor),
    )  # fmt: skip


def _news(count: int, name: str) -> Iterator[NewMemory]:
    return (NewMemory(content=f"{name} {n}. {_WORDS * 3}") for n in range(count))


def _time_each(act: Callable[[], None]) -> float:
    """Return the seconds of one of `WRITES`."""
    before = time.perf_counter()
    for _ in range(WRITES):
        act()
    return (time.perf_counter() - before) / WRITES
