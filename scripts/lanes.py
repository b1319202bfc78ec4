"""
Run tests in several processes at once, and judge what became of them.

A process that ends without saying so, hangs, or leaves with a code that no test of its explains makes the run red.
A red test is run once more, alone, when all else is done: what passes then is flaky, and a run bears so many of those.
Tests of leaks are not repeated.
"""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.support.outcomes import Began, Closed, Collected, Ended, read_outcomes

ROOT = Path(__file__).resolve().parent.parent
STALLED_S = 900.0  # without a test that begins or ends; one has 400 s at most
FLAKY_BORNE = 5
REPEATED_AT_MOST = 20  # more red tests than that are no chance
_ORDER = ("failed", "error", "passed", "skipped", "xfailed")


@dataclass(frozen=True)
class Job:
    """Tests that run in one process, one after the other; what they reach is `measured`, or not."""

    name: str
    paths: tuple[str, ...]
    measured: bool = False


@dataclass(frozen=True)
class Outcome:
    """What became of a job: its tests, and what is wrong with the process itself, or nothing."""

    job: Job
    tests: tuple[Ended, ...]
    problem: str = ""


@dataclass(frozen=True)
class Verdict:
    """What became of all: the red tests, the flaky ones, the processes at fault, and the counts."""

    red: tuple[Ended, ...]
    flaky: tuple[Ended, ...]
    problems: tuple[str, ...]
    counts: Counter[str]

    @property
    def is_green(self) -> bool:
        """Whether no test is red, no process at fault, and no more is flaky than is borne."""
        return not self.red and not self.problems and len(self.flaky) <= FLAKY_BORNE


@dataclass(frozen=True)
class Lanes:
    """
    So many processes at a time in `folder`, with `options` for pytest and the `environ` of each job.

    What the processes write is below `scratch`: by that, what one of them left is known.
    """

    count: int
    scratch: Path
    environ: Callable[[Job], Mapping[str, str]]
    options: Callable[[Job], Sequence[str]] = lambda _job: ()
    measure: Sequence[str] = ()
    folder: Path = ROOT
    stalled_s: float = STALLED_S
    _stopped: threading.Event = field(default_factory=threading.Event)

    def run(self, jobs: Sequence[Job]) -> Verdict:
        """Run all jobs in their order, repeat what is red, and print what pytest says of each."""
        outcomes = self._run_beside(jobs)
        red = [(outcome.job, test) for outcome in outcomes for test in outcome.tests if test.is_red]
        repeated = [(job, test.test) for job, test in red if not test.is_leak]
        if len(repeated) > REPEATED_AT_MOST:
            repeated = []
        passed = {test for n, (job, test) in enumerate(repeated, 1) if self._passes(test, job, n)}
        return judge(outcomes, passed)

    def _run_beside(self, jobs: Sequence[Job]) -> list[Outcome]:
        with ThreadPoolExecutor(self.count) as pool:
            try:
                return list(pool.map(self.run_job, jobs))
            except BaseException:
                self._stopped.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _passes(self, test: str, job: Job, number: int) -> bool:
        """Tell whether a test passes when it is repeated alone."""
        again = self.run_job(Job(f"{job.name}-again-{number}", (test,)))
        passed = {each.test for each in again.tests if each.outcome == "passed"}
        return not again.problem and passed == {test}

    def run_job(self, job: Job) -> Outcome:
        """Run the tests of one job and print what pytest said when it is done."""
        file = self.scratch / f"{job.name}.outcomes"
        words = [
            sys.executable,
            *(self.measure if job.measured else ()),
            # Which tests failed is said at the end, when those that are red have been repeated.
            *("-m", "pytest", "-q", "-rsxX", "--durations=8", "--durations-min=5"),
            *("-p", "no:cacheprovider"),
            *("-p", "tests.support.outcomes", "--outcomes", str(file)),
            *("--basetemp", str(self.scratch / job.name), *self.options(job), *job.paths),
        ]
        began = time.monotonic()
        status, said = run_to_end(
            words, folder=self.folder, environ=self.environ(job), scratch=self.scratch / job.name,
            is_over=lambda: self._stopped.is_set() or _age_s(file, began) > self.stalled_s,
        )  # fmt: skip
        print(f"--- {job.name}: {' '.join(job.paths)}\n{said}", flush=True)
        outcome = explain(job, status, file)
        if outcome.problem:
            end_left(self.scratch / job.name)
        return outcome


def explain(job: Job, status: int | None, file: Path) -> Outcome:
    """Return what became of a job by what its tests wrote down and the code it left with; None: it hung."""
    lines = read_outcomes(file)
    ended = tuple(line for line in lines if isinstance(line, Ended))
    closed = [line.status for line in lines if isinstance(line, Closed)]
    if status is None:
        return Outcome(job, ended, f"{job.name} hung{_where(lines)}")
    if not closed:
        return Outcome(job, ended, f"{job.name} broke off with {status}{_where(lines)}")
    collected = sum(line.tests for line in lines if isinstance(line, Collected))
    if collected > len(ended):
        return Outcome(job, ended, f"{job.name} left out {collected - len(ended)} of its tests")
    expected = int(any(test.is_red for test in ended))
    if (status, closed) != (expected, [expected]) or not ended:
        return Outcome(job, ended, f"{job.name} left with {status}, which no test explains")
    return Outcome(job, ended)


def judge(outcomes: Sequence[Outcome], passed_alone: set[str]) -> Verdict:
    """Return what became of all, where these red tests passed when they were repeated alone."""
    tests = [test for outcome in outcomes for test in outcome.tests]
    flaky = tuple(test for test in tests if test.is_red and test.test in passed_alone)
    red = tuple(test for test in tests if test.is_red and test not in flaky)
    counts = Counter(test.outcome for test in tests if test not in flaky)
    counts["passed"] += len(flaky)
    problems = tuple(outcome.problem for outcome in outcomes if outcome.problem)
    counts["error"] += len(problems)
    return Verdict(red, flaky, problems, counts)


def describe(verdict: Verdict, *, taken_s: float) -> str:
    """Return what is to be read at the end: the flaky, the red, and a closing line as pytest has it."""
    parts = [
        f"FLAKY {test.test}: red, then passed alone. Its first failure:\n{test.said}\n"
        for test in verdict.flaky
    ]
    if len(verdict.flaky) > FLAKY_BORNE:
        parts.append(f"{len(verdict.flaky)} flaky tests; a run bears {FLAKY_BORNE}.")
    parts += [
        f"FAILED {test.test}{', a leak: not repeated' * test.is_leak}" for test in verdict.red
    ]
    parts += [f"FAILED {problem}" for problem in verdict.problems]
    listed = ", ".join(f"{verdict.counts[name]} {name}" for name in _ORDER if verdict.counts[name])
    return "\n".join([*parts, f"=== {listed or 'no tests ran'} in {taken_s:.0f} s ==="])


def run_to_end(
    words: Sequence[str],
    *,
    folder: Path,
    environ: Mapping[str, str],
    scratch: Path,
    is_over: Callable[[], bool],
) -> tuple[int | None, str]:
    """
    Run a program; return its exit code, and all that it said.

    Where `is_over` says so it is ended, with its group and everything that has `scratch` in its environment; the
    code is None then.
    """
    with tempfile.TemporaryFile() as output:
        with subprocess.Popen(
            words, cwd=folder, env=dict(environ), stdin=subprocess.DEVNULL, stdout=output,
            stderr=subprocess.STDOUT, start_new_session=True,
        ) as process, _ended(process, scratch):  # fmt: skip
            while process.poll() is None and not is_over():
                time.sleep(0.05)
            status = process.poll()
        output.seek(0)
        return status, output.read().decode(errors="replace")


@contextmanager
def _ended(process: subprocess.Popen[bytes], scratch: Path) -> Iterator[None]:
    """End a process that still runs after the block, and what it started."""
    try:
        yield
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            end_left(scratch)


def end_left(scratch: Path) -> None:
    """End, by pid, this user's processes that have a folder in their environment or command line."""
    mark = f"{scratch}/"
    for process in psutil.process_iter():
        try:
            if process.pid == os.getpid() or process.uids().real != os.getuid():
                continue
            told = [*process.environ().values(), *process.cmdline()]
            if any(f"{word}/".startswith(mark) for word in told):
                process.kill()
        except (psutil.Error, OSError):
            continue


def _age_s(file: Path, began: float) -> float:
    """Return the seconds since a test began or ended last, or since `began`."""
    try:
        return min(time.time() - file.stat().st_mtime, time.monotonic() - began)
    except FileNotFoundError:
        return time.monotonic() - began


def _where(lines: Sequence[object]) -> str:
    """Return at which test a process was."""
    last = lines[-1] if lines else None
    return f" in {last.test}" if isinstance(last, Began) else ""
