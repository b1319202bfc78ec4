"""Searches among a hundred thousand memories: latency against the floor, recall against exact search."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from benchmarks.floors import Floor, Statement, ratio_goals, recording, time_in_turns
from benchmarks.loading import FIRST_NUMBER
from benchmarks.report import Section, least
from benchmarks.synthetic import (
    FREQUENCIES,
    PROJECTS,
    World,
    make_questions,
    make_word_questions,
    nearest,
)
from mahavishnu.app import App
from mahavishnu.memory.models import MemoryFilter, Mode
from mahavishnu.memory.search import SearchRequest
from mahavishnu.memory.statements import load_memory_queries

TOP = 20
RECALL_GOAL = 0.97


@dataclass(frozen=True)
class Case:
    """
    Questions of one kind with their vectors.

    `allowed` are the numbers of the memories that pass the filter; `outside` tells for each question
    whether it comes from elsewhere.
    """

    name: str
    wanted: MemoryFilter
    allowed: np.ndarray
    texts: list[str]
    vectors: np.ndarray
    outside: np.ndarray
    mode: Mode = "vector"

    @property
    def requests(self) -> list[SearchRequest]:
        """The questions as the product takes them."""
        return [
            SearchRequest(query=text, mode=self.mode, wanted=self.wanted, limit=TOP)
            for text in self.texts
        ]

    @property
    def table(self) -> dict[str, np.ndarray]:
        """The vector of each question's text."""
        return dict(zip(self.texts, self.vectors, strict=True))


def make_cases(world: World, questions: int) -> list[Case]:
    """Return every kind of search that is measured; half of a filter's questions are outsiders."""
    everything = np.arange(len(world.texts))
    plain = make_questions(world, questions, among=everything, seed=101)
    inside_only = np.zeros(questions, dtype=bool)

    def named(kind: str) -> list[str]:
        return [f"{kind} {number}" for number in range(questions)]

    def plain_case(name: str, wanted: MemoryFilter, allowed: np.ndarray) -> Case:
        return Case(name, wanted, allowed, named(name), plain, inside_only)

    cases = [plain_case("everything", MemoryFilter(), everything)]
    projects = {(project,): f"project of {part:.1%}" for project, part in PROJECTS.items()}
    for wanted, name in ({("rest-1", "rest-2"): "two projects"} | projects).items():
        members = np.flatnonzero(np.isin(world.projects, wanted))
        half = questions // 2
        vectors = np.concatenate(
            [
                make_questions(world, half, among=members, seed=102),
                make_questions(
                    world, questions - half, among=np.setdiff1d(everything, members), seed=103
                ),
            ]
        )
        outside = np.arange(questions) >= half
        narrowed = MemoryFilter(projects=wanted)
        if len(wanted) > 1:
            name = f"{name}, {len(members) / len(everything):.0%}"
        cases.append(Case(name, narrowed, members, named(name), vectors, outside))
    notes = np.flatnonzero(np.array(world.collections) == "note")
    name = f"collection of {len(notes) / len(everything):.0%}"
    cases.append(plain_case(name, MemoryFilter(collections=("note",)), notes))
    for number, kind in enumerate(FREQUENCIES):
        words = make_word_questions(world, questions, kind, seed=110 + number)
        cases.append(
            Case(f"hybrid, {kind} words", MemoryFilter(), everything, words, plain, inside_only,
                 "hybrid")
        )  # fmt: skip
    return cases


async def measure_searches(
    app: App, floor: Floor, world: World, cases: Sequence[Case], *, calls: int
) -> Section:
    """Time every case against its floor, and count what is missing of the exact answers."""
    started = time.monotonic()
    section = Section(f"Search: top {TOP} of {len(world.texts):,} x {world.vectors.shape[1]}")
    for case in cases:
        recorded, recalls, path = await record(app, world, case)
        for statements in recorded:
            await floor.prepare(statements)
        rounds = -(-calls // len(case.texts))
        timings = await time_in_turns(
            [partial(app.search, request) for request in case.requests] * rounds,
            [partial(floor.replay, statements) for statements in recorded] * rounds,
        )
        figures: dict[str, Any] = {"path": path, **timings.figures()}
        goals = list(ratio_goals())
        if case.mode == "vector":
            figures["recall"] = float(recalls.mean())
            goals.append(least("recall", RECALL_GOAL))
        if case.outside.any():
            figures["recall__outside"] = float(recalls[case.outside].mean())
            goals.append(least("recall outside", RECALL_GOAL))
        section.add(case.name, *goals, **figures)
        if case.name == "everything":
            section.notes.append(await _time_joined(floor, recorded))
    section.notes.append(
        "path: how the vectors were searched. Floor: the product's own search statements and the "
        "reading of the rows, prepared once, through bare asyncpg; calls in turns."
    )
    section.seconds = time.monotonic() - started
    return section


async def record(
    app: App, world: World, case: Case
) -> tuple[list[list[Statement]], np.ndarray, str]:
    """Ask every question once; returns the statements sent, the recall of each, and the path."""
    exact = nearest(world.vectors[case.allowed], case.vectors, TOP)
    recorded: list[list[Statement]] = []
    recalls: list[float] = []
    path = ""
    async with recording(app) as recorder:
        for request, wanted in zip(case.requests, exact, strict=True):
            result = await app.search(request)
            recorded.append(recorder.take())
            right = {int(case.allowed[place]) for place in wanted}
            found = {hit.memory.memory_no - FIRST_NUMBER for hit in result.hits}
            recalls.append(len(found & right) / len(right))
            path = str(result.explanation.get("vector_search"))
    return recorded, np.array(recalls), path


async def _time_joined(floor: Floor, recorded: Sequence[Sequence[Statement]]) -> str:
    """Time the least one could send for twenty rows: one statement, joined, with LIMIT 20."""
    rows = load_memory_queries("memories")["fetch_by_id"].partition("SELECT")[2]
    columns, _, rest = rows.partition("FROM memories m")
    search = next(s for s in recorded[0] if "embedding <#>" in s.sql)
    statement = (
        f"SELECT {columns}, n.similarity FROM (SELECT memory_no, similarity FROM ({search.sql}) q) n "
        f"JOIN memories m USING (memory_no)"
        f"{rest.partition('WHERE')[0]} ORDER BY n.similarity DESC"
    )
    prepared = await floor.connection.prepare(statement)
    seconds = []
    for statements in recorded:
        arguments = next(s for s in statements if "embedding <#>" in s.sql).arguments
        started = time.perf_counter()
        await prepared.fetch(arguments[0], TOP, *arguments[2:])
        seconds.append((time.perf_counter() - started) * 1000)
    p50, p95 = np.percentile(seconds, [50, 95])
    return (
        f"For comparison, everything: one joined statement with LIMIT {TOP} takes {p50:.2f} ms "
        f"(p95 {p95:.2f}); the product asks for more candidates than it returns."
    )
