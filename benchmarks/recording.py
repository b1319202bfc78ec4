"""What a hook of Prefect costs the flow's process, beside the bare write of the same line to a pipe."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from benchmarks.report import Section, most
from benchmarks.world import environment, open_product
from mahavishnu.engines.prefect import Recorder
from mahavishnu.engines.prefect.writer import Writer, open_writer

RUNS = 500
STARTS = 5
GOAL_MS = 5.0
READER = "import sys\nwhile sys.stdin.buffer.read(65536): pass"
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


async def measure_recording(home: Path) -> Section:
    """Report runs as Prefect calls the hooks, and wait until all are recorded."""
    began = time.monotonic()
    os.environ |= environment(home, MAHAVISHNU_EMBEDDING_PROVIDER="none")
    section = Section("Recording runs of flows and tasks, in the flow's process")
    async with open_product(home, MAHAVISHNU_EMBEDDING_PROVIDER="none") as app:
        _add_starts(section)
        for kind, report in (("flow", _flow_run), ("task", _task_run)):
            ours, floor = [], []
            with _bare_pipe() as write:
                for number in range(RUNS):
                    ours.append(_time(partial(report, number)))
                    floor.append(_time(partial(write, b"x" * 400 + b"\n")))
            p50, p95 = np.percentile(ours, [50, 95])
            section.add(
                f"a {kind} run, both hooks", most("p95 ms", GOAL_MS), p50__ms=p50, p95__ms=p95,
                floor__p50__ms=float(np.median(floor)), ratio=p50 / float(np.median(floor)),
            )  # fmt: skip
        waited = time.monotonic()
        open_writer().close()
        async with app.connection() as connection:
            count = await connection.fetchval(
                "SELECT count(*) FROM workflow_executions WHERE status = 'completed'"
            )
    assert count >= 2 * RUNS, count
    section.add("until all are recorded, after the last hook", s=time.monotonic() - waited)
    section.notes.append(
        f"{RUNS} runs each, with Prefect's attributes on plain objects; floor: two writes of 400 bytes to a pipe that "
        "another Python reads. The hooks speak to the product's own process, which records at the same time."
    )
    section.seconds = time.monotonic() - began
    return section


def _add_starts(section: Section) -> None:
    """Time the first report of a process, which starts the one that writes."""
    taken = []
    for _ in range(STARTS):
        writer = Writer()
        taken.append(_time(partial(writer.send, b"\n", wait_at_exit_s=60)))
        writer.close()
    section.add(
        "the first report of a process", p50__ms=float(np.median(taken)), p95__ms=max(taken)
    )


def _flow_run(number: int) -> None:
    _hook(f"flow-{number}", "nightly-report", parameters={"day": "2026-01-01", "repo": "shop"})


def _task_run(number: int) -> None:
    _hook(f"task-{number}", "count-orders", flow_run_id=f"flow-{number}")


_recorder = Recorder(repositories=["shop"], wait_at_exit_s=120)


def _hook(run_id: str, name: str, **more: Any) -> None:
    run = SimpleNamespace(
        id=run_id, name="brave-otter", start_time=BEGAN, run_count=1, tags=[], **more
    )
    for kind, data in (("RUNNING", None), ("COMPLETED", SimpleNamespace(result={"rows": 3}))):
        state = SimpleNamespace(
            type=SimpleNamespace(value=kind), name=kind.title(), message=None, data=data,
            timestamp=BEGAN + timedelta(seconds=2),
        )  # fmt: skip
        _recorder(SimpleNamespace(name=name), run, state)


@contextlib.contextmanager
def _bare_pipe() -> Iterator[Callable[[bytes], None]]:
    reader = subprocess.Popen([sys.executable, "-c", READER], stdin=subprocess.PIPE)
    with reader:
        assert reader.stdin is not None
        pipe = reader.stdin.fileno()

        def write(line: bytes) -> None:
            os.write(pipe, line)
            os.write(pipe, line)

        yield write


def _time(work: Callable[[], None]) -> float:
    """Return how long work takes, in milliseconds."""
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000
