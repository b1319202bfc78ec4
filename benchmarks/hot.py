"""Searches by vectors in memory: beside those in PostgreSQL, and a bare index with one read by primary key."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
from usearch.index import Index

from benchmarks.floors import RATIO_GOAL, connect
from benchmarks.loading import FIRST_NUMBER, load_world
from benchmarks.report import Section, least, most
from benchmarks.scale import RECALL_GOAL, TOP
from benchmarks.synthetic import World, make_questions, make_world, nearest
from benchmarks.world import DIMENSIONS, open_with_table
from mahavishnu.daemon.free_memory import keep_what_is_there
from mahavishnu.memory.hot.index import HotIndex
from mahavishnu.memory.scoping import Scopes
from mahavishnu.memory.search import Retriever, SearchRequest
from mahavishnu.memory.statements import MEMORY_ROW
from mahavishnu.memory.tiers import open_tiers

QUESTIONS = 250
ALONE_GOAL_MS = 1.0
AT_ONCE = 200  # more would wait for PostgreSQL longer than a statement may
READ = f"""
    SELECT {MEMORY_ROW} FROM memories m JOIN scopes s USING (scope_no) LEFT JOIN projects p ON p.id = s.project_id
    WHERE m.memory_no = ANY ($1::bigint[]) AND m.superseded_by IS NULL
        AND (m.expires_at IS NULL OR m.expires_at > now())
"""  # what an answer shows, under row-level security


async def measure_hot(home: Path, size: int, *, calls: int) -> Section:
    """Fill the vectors of a world of `size` memories, and search in them."""
    began = time.monotonic()
    world = make_world(size)
    questions = make_questions(world, QUESTIONS, among=np.arange(size), seed=701)
    table = {f"question {n}": vector for n, vector in enumerate(questions)}
    section = Section(f"Vectors in memory: top {TOP} of {size:,} x {DIMENSIONS}")
    async with open_with_table(home, table) as app, connect(app.database) as floor:
        await load_world(app, world)
        keep_what_is_there()  # as the daemon does
        hot = HotIndex(app.database, app.space, limit_bytes=2**32)
        started = time.perf_counter()
        while hot.missing:
            await hot.follow()
        filled = time.perf_counter() - started
        retriever = Retriever(open_tiers(app.database, app.space, Scopes(app.database), hot))
        bare, built = _build(world)
        read = await floor.connection.prepare(READ)

        async def search_bare(number: int) -> list[int]:
            found = bare.search(questions[number], TOP)
            rows = await read.fetch((found.keys + FIRST_NUMBER).tolist())
            return [row["memory_no"] for row in rows]

        def search(tier: str) -> Callable[[int], Awaitable[list[int]]]:
            async def ask(number: int) -> list[int]:
                request = SearchRequest(
                    query=f"question {number}", mode="vector", limit=TOP, tiers=(tier,)
                )
                return [hit.memory.memory_no for hit in (await retriever.search(request)).hits]

            return ask

        sides = {"hot": search("hot"), "cold": search("cold"), "bare": search_bare}
        seconds: dict[str, list[float]] = {name: [] for name in sides}
        for number in range(calls):
            order = list(sides)[number % 3 :] + list(sides)[: number % 3]
            for name in order:
                started = time.perf_counter()
                await sides[name](number % QUESTIONS)
                seconds[name].append(time.perf_counter() - started)
        exact = nearest(world.vectors, questions, TOP)
        for name, ask in sides.items():
            found = [
                len({*await ask(n)} & {*(each + FIRST_NUMBER)}) for n, each in enumerate(exact)
            ]
            p50, p99 = (float(np.percentile(seconds[name], place)) * 1000 for place in (50, 99))
            ratio = float(np.median(seconds[name]) / np.median(seconds["bare"]))
            recall = sum(found) / TOP / QUESTIONS
            goals = (
                [least("recall", RECALL_GOAL), most("of bare", RATIO_GOAL)] if name == "hot" else []
            )
            section.add(name, *goals, p50__ms=p50, p99__ms=p99, of__bare=ratio, recall=recall)
        alone: dict[str, float] = {}
        for name in ("bare", "hot"):  # as a daemon that is asked for nothing else
            taken = []
            for number in range(calls):
                started = time.perf_counter()
                await sides[name](number % QUESTIONS)
                taken.append(time.perf_counter() - started)
            p50, p99 = (float(np.percentile(taken, place)) * 1000 for place in (50, 99))
            alone[name] = p50
            goals = [most("p50 ms", ALONE_GOAL_MS)] if name == "hot" and size <= 20_000 else []
            of_bare = p50 / alone["bare"]
            section.add(f"{name}, alone", *goals, p50__ms=p50, p99__ms=p99, of__bare=of_bare)
        outstanding = {}
        for name in ("hot", "cold"):
            started = time.perf_counter()
            await asyncio.gather(*(sides[name](n % QUESTIONS) for n in range(AT_ONCE)))
            outstanding[name] = AT_ONCE / (time.perf_counter() - started)
        for name, rate in outstanding.items():
            goals = [least("of cold", 3.0)] if name == "hot" else []
            of_cold = rate / outstanding["cold"]
            section.add(f"{AT_ONCE:,} at once, {name}", *goals, per__s=rate, of__cold=of_cold)
        section.add("fill", s=filled, bare__s=built, mb=hot.size_bytes / 2**20)
    section.seconds = time.monotonic() - began
    return section


def _build(world: World) -> tuple[Index, float]:
    started = time.perf_counter()
    bare = Index(
        ndim=DIMENSIONS, metric="ip", dtype="f16", connectivity=16, expansion_add=128, expansion_search=96
    )  # fmt: skip
    bare.add(np.arange(len(world.vectors)), world.vectors.astype(np.float32))
    return bare, time.perf_counter() - started
