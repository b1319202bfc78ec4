"""What the outbox costs: storing with it and without, while a mirror follows, and how fast that catches up."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import numpy as np

from benchmarks.commands import PRODUCT, run
from benchmarks.report import Section, most
from benchmarks.world import connect_as_superuser, environment, open_product
from mahavishnu.app import App
from mahavishnu.database.migrate import upgrade
from mahavishnu.database.target import target_of_dsn
from mahavishnu.memory.models import NewMemory
from mahavishnu.memory.outbox.mirror import JsonlMirror
from mahavishnu.memory.outbox.outbox import Outbox

STORES = 1_000
BATCHES = 40
TOGETHER = 512
AT_ONCE = 10  # as many as there are connections
GOAL = 1.15
_WORDS = "The staging key rotates on Mondays, and the one of production by hand. " * 3
_NO_EMBEDDER = {"MAHAVISHNU_EMBEDDING_PROVIDER": "none"}

type Store = Callable[[App, int], Awaitable[object]]


async def measure_outbox(home: Path) -> Section:
    """Compare two databases of one server, in turns."""
    started = time.monotonic()
    section = Section("The outbox: storing with it and without, and a mirror that follows")
    async with open_product(home, **_NO_EMBEDDER) as app:
        dsn = await _make_plain(app)
        async with open_product(home, **_NO_EMBEDDER, MAHAVISHNU_PG_DSN=dsn) as plain:
            await _compare(section, "store one", app, plain, STORES, _store_one)
            name = f"store {AT_ONCE} at once"
            await _compare(section, name, app, plain, STORES // AT_ONCE, _store_at_once)
            await _compare(section, f"store {TOGETHER} together", app, plain, BATCHES, _store_many)
            followed = environment(
                home, **_NO_EMBEDDER, MAHAVISHNU_SYNC_MIRROR_PATH=str(home / "followed.jsonl")
            )
            await asyncio.to_thread(run, (*PRODUCT, "sync", "run"), followed)
            await asyncio.to_thread(run, (*PRODUCT, "up", "--detach", "--port", "0"), followed)
            try:
                name = "store one, a mirror follows"
                await _compare(section, name, app, plain, STORES, _store_one)
            finally:
                await asyncio.to_thread(run, (*PRODUCT, "down"), followed)
        await _catch_up(section, home, app)
    section.notes.append(
        "Without: the same schema in a second database of the server, without the triggers that write `changes` and "
        "its index by transaction. In turns; ratios of the medians and of the 95th. Floor of the mirror: its bytes "
        "written and synced once."
    )
    section.seconds = time.monotonic() - started
    return section


async def _make_plain(app: App) -> str:
    """Make a second database without the outbox, and return its address."""
    address = urlsplit(app.database.target.url)
    admin = await connect_as_superuser(app.database)
    await admin.execute("CREATE DATABASE plain OWNER mahavishnu")
    await admin.close()
    superuser = address._replace(netloc="postgres@", path="/plain")
    inside = await asyncpg.connect(urlunsplit(superuser))
    await inside.execute("CREATE EXTENSION vector")
    dsn = urlunsplit(address._replace(path="/plain"))
    await upgrade(target_of_dsn(dsn))
    await inside.execute(
        "DROP TRIGGER memories_stored ON memories; DROP TRIGGER memories_superseded ON memories;"
        "DROP INDEX changes_xid"
    )
    await inside.close()
    return dsn


async def _store_one(app: App, number: int) -> None:
    await app.memories.store(NewMemory(content=f"One {number}. {_WORDS}"))


async def _store_at_once(app: App, number: int) -> None:
    await asyncio.gather(*(_store_one(app, number * AT_ONCE + each) for each in range(AT_ONCE)))


async def _store_many(app: App, number: int) -> None:
    news = [
        NewMemory(content=f"Many {number * TOGETHER + each}. {_WORDS}") for each in range(TOGETHER)
    ]
    await app.memories.store_batch(news, embed=False)


async def _compare(
    section: Section, name: str, app: App, plain: App, calls: int, store: Store
) -> None:
    """Time calls against both databases in turns, each one first every other time."""
    taken: dict[bool, list[float]] = {True: [], False: []}
    offset = (len(section.rows) + 1) * 10_000_000
    for number in range(-calls // 10, calls):
        for fed in (True, False) if number % 2 else (False, True):
            before = time.perf_counter()
            await store(app if fed else plain, offset + number)
            if number >= 0:
                taken[fed].append(1000 * (time.perf_counter() - before))
    fed, unfed = np.array(taken[True]), np.array(taken[False])
    section.add(
        name, most("ratio p50", GOAL), p50__ms=float(np.median(fed)), without__ms=float(np.median(unfed)),
        ratio__p50=float(np.median(fed) / np.median(unfed)),
        ratio__p95=float(np.percentile(fed, 95) / np.percentile(unfed, 95)),
    )  # fmt: skip


async def _catch_up(section: Section, home: Path, app: App) -> None:
    """Deliver what was never mirrored, and write the same bytes once."""
    path = home / "caught-up.jsonl"
    before = time.perf_counter()
    [ran] = await Outbox(app.database, app.memories, [JsonlMirror(path)]).run(force=True)
    seconds = time.perf_counter() - before
    content = path.read_bytes()
    before = time.perf_counter()
    with (home / "floor").open("wb", buffering=0) as stream:
        stream.write(content)
        os.fsync(stream.fileno())
    floor_s = time.perf_counter() - before
    section.add(
        f"a mirror catches up with {ran.delivered:,} changes", changes__per__s=ran.delivered / seconds,
        MB__per__s=len(content) / seconds / 1e6, floor__MB__per__s=len(content) / floor_s / 1e6,
    )  # fmt: skip
