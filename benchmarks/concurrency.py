"""A thousand searches outstanding at once from ten processes, every answer checked."""

import asyncio
import multiprocessing
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import asyncpg
import numpy as np

from benchmarks.floors import Statement, recording, register_halfvec
from benchmarks.loading import FIRST_NUMBER
from benchmarks.report import Row, Section, least, most
from benchmarks.scale import TOP
from benchmarks.synthetic import nearest
from benchmarks.world import open_with_table
from mahavishnu.app import App
from mahavishnu.database.pool import SESSION_SETTINGS
from mahavishnu.memory.models import SearchResult
from mahavishnu.memory.search import SearchRequest

PROCESSES = 10
EACH = 100
RATIO_GOAL = 1.3
FALLBACK_POOL = 5
PATIENCE_S = 180.0


@dataclass(frozen=True)
class Share:
    """One process's part: where the database and the vectors are, and its questions."""

    home: Path
    vectors: Path
    texts: list[str]
    questions: np.ndarray
    pool_size: int | None


@dataclass(frozen=True)
class Outcome:
    """One process's seconds for all its searches, its wrong answers and its recall."""

    product_s: float
    floor_s: float
    wrong: list[str]
    recall: float


def measure_concurrency(home: Path, vectors: np.ndarray, questions: np.ndarray) -> Section:
    """Run the processes on the database in `home`, which must hold `vectors` in order."""
    started = time.monotonic()
    stored = home / "vectors.npy"
    np.save(stored, vectors)
    section = Section(f"{PROCESSES * EACH:,} searches outstanding from {PROCESSES} processes")
    for pool_size in (None, FALLBACK_POOL):
        row = _measure(section, home, stored, questions, pool_size)
        if not row.figures["failed processes"]:
            break
    section.notes.append(
        "Every answer: twenty different memories, best first, each similarity that of the stored "
        "vector. Time until the last process has its last answer. Floor: the same statements over "
        "bare pools of the same size."
    )
    section.seconds = time.monotonic() - started
    return section


def _measure(
    section: Section, home: Path, stored: Path, questions: np.ndarray, pool_size: int | None
) -> Row:
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(PROCESSES)
    results: Any = context.Queue()
    processes = []
    for number in range(PROCESSES):
        part = questions[number * EACH : (number + 1) * EACH]
        texts = [f"process {number} {place}" for place in range(len(part))]
        share = Share(home, stored, texts, part, pool_size)
        processes.append(context.Process(target=work, args=(share, barrier, results), daemon=True))
    for process in processes:
        process.start()
    outcomes: list[Outcome | str] = [results.get(timeout=PATIENCE_S) for _ in processes]
    for process in processes:
        process.join()
    failures = [outcome for outcome in outcomes if isinstance(outcome, str)]
    done = [outcome for outcome in outcomes if not isinstance(outcome, str)]
    wrong = [line for outcome in done for line in outcome.wrong]
    product = max((outcome.product_s for outcome in done), default=float("nan"))
    floor = max((outcome.floor_s for outcome in done), default=float("nan"))
    section.notes += [*sorted(set(failures))[:2], *wrong[:3]]
    return section.add(
        f"vector, everything, pools of {pool_size or 'the default size'}",
        most("ratio", RATIO_GOAL), most("wrong", 0), most("failed processes", 0),
        least("recall", 0.97),
        s=product, floor__s=floor, ratio=product / floor, per__s=len(done) * EACH / product,
        recall=float(np.mean([outcome.recall for outcome in done] or [0.0])),
        wrong=len(wrong), failed__processes=len(failures),
    )  # fmt: skip


def work(share: Share, barrier: Barrier, results: Any) -> None:
    """Do one process's share; puts an `Outcome`, or what went wrong as text."""
    try:
        results.put(asyncio.run(_work(share, barrier)))
    except Exception as error:  # noqa: BLE001 - the parent has to learn of whatever it was
        barrier.abort()
        results.put(f"{type(error).__name__}: {error}")


async def _work(share: Share, barrier: Barrier) -> Outcome:
    table = dict(zip(share.texts, share.questions, strict=True))
    requests = [SearchRequest(query=text, mode="vector", limit=TOP) for text in share.texts]
    async with open_with_table(share.home, table, pool_size=1) as app, recording(app) as recorder:
        recorded = []
        for request in requests:
            await app.search(request)
            recorded.append(recorder.take())
        parameters = dict(app.database.target.parameters)
    async with open_with_table(share.home, table, pool_size=share.pool_size) as app:
        size = share.pool_size or app.settings.postgresql.pool_size
        await _ask_all(app, requests[:size])
        await asyncio.to_thread(barrier.wait, PATIENCE_S)
        started = time.monotonic()
        answers = await _ask_all(app, requests)
        product_s = time.monotonic() - started
        await asyncio.to_thread(barrier.wait, PATIENCE_S)
    floor_s = await _time_floor(parameters, size, recorded, barrier)
    vectors = np.load(share.vectors)
    wrong = [
        line
        for answer, question in zip(answers, share.questions, strict=True)
        for line in check(answer, question, vectors)
    ]
    return Outcome(product_s, floor_s, wrong, _recall(answers, share.questions, vectors))


async def _ask_all(app: App, requests: Sequence[SearchRequest]) -> list[SearchResult]:
    return await asyncio.gather(*(app.search(request) for request in requests))


async def _time_floor(
    parameters: dict[str, Any],
    size: int,
    recorded: Sequence[Sequence[Statement]],
    barrier: Barrier,
) -> float:
    """Time the same statements over a bare pool of the same size, one connection a search."""
    async with asyncpg.create_pool(
        **parameters,
        min_size=size,
        max_size=size,
        init=register_halfvec,
        server_settings=dict(SESSION_SETTINGS),
    ) as pool:

        async def ask(statements: Sequence[Statement]) -> None:
            async with pool.acquire() as connection:
                for statement in statements:
                    await connection.fetch(statement.sql, *statement.arguments)

        await asyncio.gather(*(ask(statements) for statements in recorded[:size]))
        await asyncio.to_thread(barrier.wait, PATIENCE_S)
        started = time.monotonic()
        await asyncio.gather(*(ask(statements) for statements in recorded))
        seconds = time.monotonic() - started
        await asyncio.to_thread(barrier.wait, PATIENCE_S)
    return seconds


def check(answer: SearchResult, question: np.ndarray, vectors: np.ndarray) -> list[str]:
    """Return what is wrong with an answer; its similarities are compared with the vectors'."""
    numbers = [hit.memory.memory_no - FIRST_NUMBER for hit in answer.hits]
    scores = [hit.arms["vector"].score for hit in answer.hits]
    wrong = []
    if len(set(numbers)) != TOP:
        wrong.append(f"{answer.query}: {len(set(numbers))} memories instead of {TOP}")
    if scores != sorted(scores, reverse=True):
        wrong.append(f"{answer.query}: not in order")
    true = vectors[numbers].astype(np.float32) @ question.astype(np.float32)
    if not np.allclose(true, scores, atol=2e-3):
        wrong.append(f"{answer.query}: similarities differ from those of the vectors")
    return wrong


def _recall(answers: Sequence[SearchResult], questions: np.ndarray, vectors: np.ndarray) -> float:
    exact = nearest(vectors, questions, TOP)
    shares = [
        len({hit.memory.memory_no - FIRST_NUMBER for hit in answer.hits} & set(right.tolist()))
        / TOP
        for answer, right in zip(answers, exact, strict=True)
    ]
    return float(np.mean(shares))
