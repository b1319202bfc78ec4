"""
Run commands of ours for several repositories, some at once: by threads of this process, or by Prefect.

Each is a process of its own, which ends when its lifeline is cut: that happens when the process that
started them ends, however that comes about.
"""

import asyncio
import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Job:
    """A command for a repository."""

    name: str
    words: tuple[str, ...]
    lifeline: Path


@dataclass(frozen=True)
class Ended:
    """How a job ended: its exit code, 128 and the signal where one ended it; None where it was not started."""

    name: str
    code: int | None
    took_s: float = 0.0
    stopped: bool = False


@contextlib.contextmanager
def held_lifeline() -> Iterator[tuple[Path, Callable[[], None]]]:
    """Make a named pipe that this process alone holds; yields its path and what cuts it, also at the end."""
    with (
        tempfile.TemporaryDirectory(prefix="mahavishnu-") as folder,
        contextlib.ExitStack() as held,
    ):
        path = Path(folder) / "lifeline"
        os.mkfifo(path, 0o600)
        held.callback(os.close, os.open(path, os.O_RDWR))
        yield path, held.close


def open_lifeline(path: Path) -> int:
    """Open a lifeline to watch it: it becomes readable when it is cut."""
    return os.open(path, os.O_RDONLY | os.O_NONBLOCK)


def is_held(lifeline: int) -> bool:
    """Tell whether an open lifeline is not cut."""
    try:
        return os.read(lifeline, 1) != b""
    except BlockingIOError:
        return True


def run_job(job: Job) -> Ended:
    """Run a job to its end, in this thread; Dask calls it in a process of its own."""
    try:
        lifeline = open_lifeline(job.lifeline)
    except FileNotFoundError:  # who made it is gone
        return Ended(job.name, None, stopped=True)
    try:
        if not is_held(lifeline):
            return Ended(job.name, None, stopped=True)
        began = time.monotonic()
        done = subprocess.run(job.words, stdin=subprocess.DEVNULL, process_group=0, check=False)
        code = done.returncode if done.returncode >= 0 else 128 - done.returncode
        stopped = code != 0 and not is_held(lifeline)
        return Ended(job.name, code, time.monotonic() - began, stopped)
    finally:
        os.close(lifeline)


async def run_jobs(
    workflow: str, jobs: Sequence[Job], *, runner: str, at_once: int, retries: int = 0
) -> list[Ended]:
    """Run all jobs, so many at once, and return how they ended, in their order; one that fails stops no other."""
    if runner == "prefect":
        from mahavishnu.engines.prefect.tasks import run_tasks  # noqa: PLC0415 - an extra, and 2 s

        by_prefect = await asyncio.to_thread(
            run_tasks, workflow, run_job, jobs, at_once=at_once, retries=retries
        )
        return [each or Ended(job.name, 1) for job, each in zip(jobs, by_prefect, strict=True)]
    with ThreadPoolExecutor(at_once) as threads:
        loop = asyncio.get_running_loop()
        return await asyncio.gather(*(loop.run_in_executor(threads, run_job, job) for job in jobs))
