"""One search over all tiers beside the local ones: with the real Session-Buddy, with it dead; then mixed work."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.loading import load_world
from benchmarks.report import Section, most
from benchmarks.synthetic import make_questions, make_world
from benchmarks.world import open_with_table
from mahavishnu.app import App
from mahavishnu.memory.hot.index import HotIndex
from mahavishnu.memory.models import NewMemory
from mahavishnu.memory.records import Metric
from mahavishnu.memory.scoping import Scopes
from mahavishnu.memory.search import Retriever, SearchRequest
from mahavishnu.memory.tiers import open_tiers
from mahavishnu.memory.tiers.development import DevelopmentTier
from mahavishnu.services.session_buddy.client import SessionBuddy
from mahavishnu.services.session_buddy.unit import session_buddy_unit
from tests.support.external import free_port
from tests.support.peers.session_buddy_peer import interpreter, served

SIZE = 10_000
INSIGHTS = 200
CALLS = 500
MIXED = 1_000
LIMIT = 10


async def measure_unified(home: Path) -> Section:
    """Search the same world locally, with Session-Buddy and after it was killed, and work on it all at once."""
    began = time.monotonic()
    world = make_world(SIZE)
    vectors = make_questions(world, CALLS, among=np.arange(SIZE), seed=801)
    questions = {f"{world.texts[n]} {n}": vector for n, vector in enumerate(vectors)}
    section = Section(f"All tiers: hybrid searches of {SIZE:,} memories and {INSIGHTS} insights")
    unit = session_buddy_unit(str(interpreter()), home=home / "buddy", port=free_port())
    assert unit.health is not None and unit.health.http is not None
    async with open_with_table(home, questions) as app:
        await load_world(app, world)
        hot = HotIndex(app.database, app.space, limit_bytes=2**32)
        while hot.missing:
            await hot.follow()
        scopes = Scopes(app.database)
        buddy = SessionBuddy(f"http://127.0.0.1:{unit.port}")
        development = DevelopmentTier(buddy, app.database, scopes)
        retriever = Retriever(open_tiers(app.database, app.space, scopes, hot, development))

        async def search(tier: str, question: str) -> Sequence[object]:
            request = SearchRequest(query=question, tiers=(tier,), limit=LIMIT)
            return (await retriever.search(request)).degraded

        async with served(unit.command, unit.health.http, home / "buddy.log") as client:
            for number in range(INSIGHTS):
                text = f"{world.texts[number]} insight"
                await client.call_tool("store_reflection", {"content": text})
            await buddy.warm()
            local = await _time(section, "local", search, "hot", questions, 50.0)
            await _time(section, "with Session-Buddy", search, "all", questions, 200.0)
        await _time(section, "Session-Buddy is dead", search, "all", questions, 1.1 * local)
        await _work(section, app, retriever, list(questions))
        await buddy.aclose()
    section.notes.append(
        "Local: words, and vectors in memory. A dead Session-Buddy is asked again every two seconds."
    )
    section.seconds = time.monotonic() - began
    return section


async def _time(
    section: Section,
    name: str,
    search: Callable[[str, str], Coroutine[Any, Any, Sequence[object]]],
    tier: str,
    questions: Sequence[str] | dict[str, Any],
    goal_ms: float,
) -> float:
    """Add a row of searches one after the other; returns the 99th percentile in ms."""
    seconds, degraded = [], 0
    for question in questions:
        started = time.perf_counter()
        degraded += bool(await search(tier, question))
        seconds.append(time.perf_counter() - started)
    p50, p99 = (float(np.percentile(seconds, place)) * 1000 for place in (50, 99))
    section.add(name, most("p99 ms", goal_ms), p50__ms=p50, p99__ms=p99, degraded=degraded)
    return p99


async def _work(section: Section, app: App, retriever: Retriever, questions: Sequence[str]) -> None:
    """Add a row of stores, searches, metrics and forgetting, all outstanding at once."""

    async def store(number: int) -> None:
        made = await app.memories.store(NewMemory(content=f"Mixed {number}."))
        if number % 2:
            await app.memories.forget([made.id])

    async def find(number: int) -> None:
        tier = ("hot", "cold", "all")[number % 3]
        await retriever.search(
            SearchRequest(query=questions[number % len(questions)], tiers=(tier,), limit=LIMIT)
        )

    async def record(number: int) -> None:
        figures = {"value": float(number)}
        await app.records.record_metric(Metric(source="mixed", name="work", figures=figures))

    kinds = (store, find, find, record)
    started = time.perf_counter()
    done = await asyncio.gather(
        *(kinds[number % len(kinds)](number) for number in range(MIXED)), return_exceptions=True
    )
    taken = time.perf_counter() - started
    failed = [each for each in done if isinstance(each, BaseException)]
    section.add(f"{MIXED:,} at once, mixed", most("failed", 0), s=taken, failed=len(failed))
    section.notes += [f"failed: {each!r}"[:200] for each in failed[:3]]
