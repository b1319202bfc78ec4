"""What the search settings should be: recall and time of the graph against exact search, by figures."""

import time
from collections.abc import Sequence

import numpy as np
from pgvector import HalfVector

from benchmarks.floors import Floor
from benchmarks.loading import FIRST_NUMBER
from benchmarks.report import Section
from benchmarks.scale import RECALL_GOAL, TOP
from benchmarks.synthetic import REST, World, make_questions, nearest
from mahavishnu.database.pool import SESSION_SETTINGS
from mahavishnu.database.queries import load_queries
from mahavishnu.database.vectors import VectorTable
from mahavishnu.memory.arms import NARROWED_DEPTH
from mahavishnu.memory.selection import EXACT_UP_TO
from mahavishnu.memory.tiers.cold import DEPTH

BREADTHS = (20, 40, 60, 80, 120, 200)
DEPTHS = (DEPTH, NARROWED_DEPTH)
QUESTIONS = 100


async def measure_settings(floor: Floor, world: World, table: VectorTable) -> list[Section]:
    """Return recall by `hnsw.ef_search`, and where exact search stops being the better one."""
    started = time.monotonic()
    breadths = Section(f"Recall of the best {TOP} by hnsw.ef_search")
    everything = np.arange(len(world.texts))
    questions = make_questions(world, QUESTIONS, among=everything, seed=201)
    right = [set(row.tolist()) for row in nearest(world.vectors, questions, TOP)]
    scopes = await _scopes(floor, world, None)
    smallest: dict[int, int] = {}
    for breadth in BREADTHS:
        await _set(floor, "hnsw.ef_search", breadth)
        figures: dict[str, float] = {}
        for limit in (TOP, DEPTH):
            recall, p50, p95 = await _run(
                floor, table.nearest(), questions, scopes, right, depth=limit
            )
            figures |= {f"LIMIT__{limit}": recall, f"{limit}__p50": p50, f"{limit}__p95": p95}
            if recall >= RECALL_GOAL:
                smallest.setdefault(limit, breadth)
        breadths.add(f"{breadth}", **figures)
    await _set(floor, "hnsw.ef_search", int(SESSION_SETTINGS["hnsw.ef_search"]))
    breadths.notes.append(
        f"Smallest that reaches {RECALL_GOAL}, by LIMIT: {smallest}; "
        f"in use: {SESSION_SETTINGS['hnsw.ef_search']}. Over all partitions, each its own graph."
    )
    breadths.seconds = time.monotonic() - started
    return [breadths, await _measure_threshold(floor, world, table)]


async def _measure_threshold(floor: Floor, world: World, table: VectorTable) -> Section:
    """Compare exact search and the graph in selections of several sizes, outsiders asking too."""
    started = time.monotonic()
    section = Section(f"Exact or graph: in use up to {EXACT_UP_TO:,} exact")
    rests = [f"rest-{number}" for number in range(REST)]
    for projects in (["five"], ["fifteen"], rests[1:3], rests[1:]):
        members = np.flatnonzero(np.isin(world.projects, projects))
        others = np.setdiff1d(np.arange(len(world.texts)), members)
        half = QUESTIONS // 4
        questions = np.concatenate(
            [
                make_questions(world, half, among=members, seed=202),
                make_questions(world, half, among=others, seed=203),
            ]
        )
        right = [
            {int(members[place]) for place in row}
            for row in nearest(world.vectors[members], questions, TOP)
        ]
        scopes = await _scopes(floor, world, projects)
        exact = await _run(floor, table.nearest(exact=True), questions, scopes, right)
        figures = {"exact__p50": exact[1], "exact__p95": exact[2]}
        for depth in DEPTHS:
            statement = table.nearest()
            inside = await _run(
                floor, statement, questions[:half], scopes, right[:half], depth=depth
            )
            outside = await _run(
                floor, statement, questions[half:], scopes, right[half:], depth=depth
            )
            figures |= {
                f"{depth}__in__p50": inside[1],
                f"{depth}__in": inside[0],
                f"{depth}__out__p50": outside[1],
                f"{depth}__out": outside[0],
            }
        section.add(f"{len(members):,} memories", **figures)
    section.notes.append(
        f"{DEPTH}, {NARROWED_DEPTH}: the graph asked for so many candidates; recall and p50 (ms) of questions from "
        "inside and from outside of the selection."
    )
    section.seconds = time.monotonic() - started
    return section


async def _run(
    floor: Floor,
    statement: str,
    questions: np.ndarray,
    scopes: Sequence[int],
    right: Sequence[set[int]],
    *,
    depth: int = DEPTH,
) -> tuple[float, float, float]:
    """Return recall, median and 95th percentile in milliseconds."""
    prepared = await floor.connection.prepare(statement)
    seconds, recalls = [], []
    for question, wanted in zip(questions, right, strict=True):
        vector = HalfVector(question)
        started = time.perf_counter()
        rows = await prepared.fetch(vector, depth, list(scopes))
        seconds.append((time.perf_counter() - started) * 1000)
        best = sorted(rows, key=lambda row: -row["similarity"])[:TOP]
        found = {row["memory_no"] - FIRST_NUMBER for row in best}
        recalls.append(len(found & wanted) / len(wanted))
    p50, p95 = np.percentile(seconds, [50, 95])
    return float(np.mean(recalls)), float(p50), float(p95)


async def _scopes(floor: Floor, world: World, projects: Sequence[str] | None) -> list[int]:
    names = sorted(set(world.projects)) if projects is None else projects
    row = await floor.connection.fetchrow(load_queries("scopes")["survey"], None, names)
    return list(row["scopes"])


async def _set(floor: Floor, name: str, value: int) -> None:
    await floor.connection.execute("SELECT set_config($1, $2, false)", name, str(value))
