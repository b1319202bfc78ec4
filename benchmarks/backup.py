"""Backup and restore beside bare pg_dump and pg_restore of the same database; searches while a backup runs."""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Awaitable, Iterator
from itertools import cycle
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.loading import load_world
from benchmarks.report import Section, most
from benchmarks.synthetic import make_questions, make_word_questions, make_world
from benchmarks.world import open_with_table
from mahavishnu.app import App
from mahavishnu.database.backup.backups import Backups
from mahavishnu.database.backup.manifest import CONFIGURATION, JOURNAL
from mahavishnu.database.backup.parts import Progress
from mahavishnu.database.backup.programs import Programs
from mahavishnu.memory.search import SearchRequest

MEMORIES = 20_000
ROUNDS = 3
QUESTIONS = 250
FILES = {CONFIGURATION: b"{}\n", JOURNAL: b""}
FLOOR = "floor"
_CREATE = (f"CREATE DATABASE {FLOOR} OWNER mahavishnu TEMPLATE template0",)
_DROP = (f"DROP DATABASE IF EXISTS {FLOOR} WITH (FORCE)",)

type Times = dict[str, list[float]]


async def measure_backup(home: Path) -> Section:
    """Measure all in turns over one database of memories with vectors."""
    began = time.monotonic()
    section = Section("Backup and restore")
    world = make_world(MEMORIES)
    among = np.arange(MEMORIES)
    texts = make_word_questions(world, QUESTIONS, "middling", seed=701)
    vectors = make_questions(world, QUESTIONS, among=among, seed=702)
    async with open_with_table(home, dict(zip(texts, vectors, strict=True))) as app:
        await load_world(app, world)
        seconds: Times = {}
        dump = home / "floor.dump"
        for number in range(ROUNDS):
            for ours in (True, False) if number % 2 else (False, True):
                await _back_up(app.backups, seconds, dump, ours=ours)
        await _compare_searches(section, app, texts)
        for number in range(ROUNDS):
            for ours in (True, False) if number % 2 else (False, True):
                await _restore(app.backups, seconds, dump, ours=ours)
    for name, floor in (("backup", "pg_dump"), ("restore", "pg_restore")):
        taken, bare = median(seconds[name]), median(seconds[floor])
        section.add(
            f"{name}, {MEMORIES:,} memories with vectors", most("ratio", 1.3),
            s=taken, floor__s=bare, ratio=taken / bare,
        )  # fmt: skip
    section.notes.append(
        f"Medians of {ROUNDS} in turns; a set has checksums of all rows, and a restore compares them. Floors: pg_dump "
        "in the same format to a file; pg_restore of that file into an empty database. Searches: hybrid, one after "
        "the other, in the process that makes the backup, as in the daemon; as many without one right before."
    )
    section.seconds = time.monotonic() - began
    return section


async def _back_up(backups: Backups, seconds: Times, dump: Path, *, ours: bool) -> None:
    if ours:
        await _timed(seconds, "backup", backups.create(FILES, Progress()))
        return
    options = ("--format=custom", f"--file={dump}")
    server = backups.server()
    await _timed(seconds, "pg_dump", _run_bare(backups, "pg_dump", server.database, *options))


async def _restore(backups: Backups, seconds: Times, dump: Path, *, ours: bool) -> None:
    if ours:
        await _timed(seconds, "restore", backups.restore("latest", Progress()))
        return
    server = backups.server()
    async with server.maintain() as connection:
        for statement in (*_DROP, *_CREATE):
            await connection.execute(statement)
        async with server.connect(FLOOR) as inside:
            await inside.execute("CREATE EXTENSION vector")
        options = ("--exit-on-error", "--no-owner", "--no-privileges", "--no-comments", str(dump))
        await _timed(seconds, "pg_restore", _run_bare(backups, "pg_restore", FLOOR, *options))
        for statement in _DROP:
            await connection.execute(statement)


async def _run_bare(backups: Backups, name: str, database: str, *options: str) -> None:
    """Run one of PostgreSQL's programs as a user would."""
    server = backups.server()
    programs = await _programs_of(backups)
    words: list[str | Path] = [programs.folder / name, f"--dbname={server.url(database)}", *options]
    environment = {**server.environ, "PATH": os.defpath, "LC_ALL": "C"}
    done = await asyncio.create_subprocess_exec(*words, env=environment)
    if await done.wait():
        raise RuntimeError(f"{name} failed")


async def _programs_of(backups: Backups) -> Programs:
    server = backups.server()
    async with server.maintain() as connection:
        return server.programs(connection.get_server_version().major)


async def _compare_searches(section: Section, app: App, texts: list[str]) -> None:
    """Search while backups run, and as often without, in turns."""
    requests = cycle([SearchRequest(query=text) for text in texts])
    for _ in range(2 * QUESTIONS):
        await app.search(next(requests))
    alone: list[float] = []
    beside: list[float] = []
    for _ in range(ROUNDS):
        before = len(beside)
        async with _running(app.backups.create(FILES, Progress())) as backup:
            while not backup.done():
                beside.append(await _search(app, requests))
        for _ in range(len(beside) - before):
            alone.append(await _search(app, requests))
    figures = {
        f"{name}__ms": float(np.percentile(taken, place))
        for place in (50, 99)
        for name, taken in ((f"p{place}", beside), (f"floor__p{place}", alone))
    }
    ratio = figures["p99__ms"] / figures["floor__p99__ms"]
    section.add(
        f"{len(beside):,} searches while a backup runs", most("ratio", 2.0), **figures, ratio=ratio
    )


async def _search(app: App, requests: Iterator[SearchRequest]) -> float:
    before = time.perf_counter()
    await app.search(next(requests))
    return 1000 * (time.perf_counter() - before)


@contextlib.asynccontextmanager
async def _running(work: Awaitable[object]) -> AsyncIterator["asyncio.Future[object]"]:
    """Let something run beside the block, and end with it."""
    task = asyncio.ensure_future(work)
    try:
        yield task
    finally:
        await task


async def _timed(seconds: Times, name: str, work: Awaitable[object]) -> None:
    before = time.perf_counter()
    await work
    seconds.setdefault(name, []).append(time.perf_counter() - before)
