"""
What `make test` does: every test with coverage, then the page of what ran.

The tests run in processes of their own, four at a time, the longest first; the closing line sums them
up. Fails where a test fails, or less than the demanded coverage is reached.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.scratch import find_room
from tests.verified import PEERS, write_page

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache"
VERIFIED = CACHE / "integrations"
PAGE = ROOT / "docs/reference/verified.md"
WORKERS = 4  # on two cores: a third of a test is waiting
SHARES = 8  # of the acceptance tests; each process imports everything, and makes a home
# The same lines thousands of times: other tests measure them, in a third of the time.
REPEATED = (
    "tests/contracts/test_documents.py",
    "tests/integration/test_ai_files_faults.py",
    "tests/integration/test_ai_switch_faults.py",
    "tests/integration/test_ai_switch_matrix.py",
)
_COUNT = re.compile(r"(\d+) (passed|failed|errors?|skipped|xfailed|xpassed|deselected)")
_ORDER = ("failed", "error", "passed", "skipped", "deselected", "xfailed", "xpassed")


@dataclass(frozen=True)
class Job:
    """Tests that run in one process, one after the other; what they reach is `measured`, or not."""

    name: str
    paths: tuple[str, ...]
    measured: bool = True


@dataclass(frozen=True)
class Outcome:
    """How a job ended: pytest's exit code and the numbers of its closing line."""

    status: int
    counts: Counter[str]


def main() -> int:
    """Run everything; returns the exit code."""
    started = time.monotonic()
    shutil.rmtree(CACHE / "coverage", ignore_errors=True)
    (CACHE / "coverage").mkdir(parents=True)
    for note in VERIFIED.glob("*.json"):
        if note.name != PEERS:  # those of `make test-peers` are kept
            note.unlink()
    with tempfile.TemporaryDirectory(prefix="mahavishnu-tests-", dir=find_room()) as scratch:
        with ThreadPoolExecutor(WORKERS) as pool:
            outcomes = list(pool.map(lambda job: run_job(job, Path(scratch)), list_jobs()))
        green = not any(outcome.status for outcome in outcomes)
        total, enough = measure_coverage(Path(scratch))
    write_page(PAGE, VERIFIED.glob("*.json"), root=ROOT)
    print(describe(outcomes, taken_s=time.monotonic() - started))
    print(f"TOTAL coverage {total} (by module: .cache/coverage/report.txt)")
    return 0 if green and enough else 1


def describe(outcomes: Sequence[Outcome], *, taken_s: float) -> str:
    """Return the closing line, as pytest has it."""
    counts = sum((outcome.counts for outcome in outcomes), Counter[str]())
    listed = ", ".join(f"{counts[name]} {name}" for name in _ORDER if counts[name])
    return f"=== {listed or 'no tests ran'} in {taken_s:.0f} s ==="


def list_jobs() -> list[Job]:
    """Return what is tested, the longest first."""
    found = sorted((ROOT / "tests/acceptance").glob("test_*.py"))
    acceptance = [str(path.relative_to(ROOT)) for path in found]
    return [
        Job("integration", ("tests/integration", "tests/mutations")),
        Job("repeated", REPEATED, measured=False),
        Job("docs", ("tests/docs",), measured=False),
        *(Job(f"acceptance-{n + 1}", tuple(acceptance[n::SHARES])) for n in range(SHARES)),
        Job("unit", ("tests/unit", "tests/contracts", "tests/test_architecture.py")),
    ]


def run_job(job: Job, scratch: Path) -> Outcome:
    """Run the tests of a job and print what pytest said when it is done."""
    elsewhere = [f"--ignore={path}" for path in REPEATED if path not in job.paths]
    done = run(
        *("-m", "coverage", "run") * job.measured,
        *("-m", "pytest", "-q", "--durations=8", "--durations-min=5", "-p", "no:cacheprovider"),
        *("-p", "tests.verified", "--verified", str(VERIFIED / f"{job.name}.json")),
        *("--basetemp", str(scratch / job.name), *elsewhere, *job.paths),
        scratch=scratch,
        captured=True,
    )
    print(f"--- {' '.join(job.paths)}\n{done.stdout}", flush=True)
    closing = done.stdout.strip().rpartition("\n")[2]
    counts = Counter(
        {name.removesuffix("s") if name == "errors" else name: int(number)
         for number, name in _COUNT.findall(closing)}
    )  # fmt: skip
    return Outcome(done.returncode, counts)


def measure_coverage(scratch: Path) -> tuple[str, bool]:
    """Put the measurements together; returns the total and whether it reaches the demanded floor."""
    run("-m", "coverage", "combine", "--quiet", scratch=scratch)
    report = run("-m", "coverage", "report", scratch=scratch, captured=True)
    (CACHE / "coverage/report.txt").write_text(report.stdout, encoding="utf-8")
    total = re.search(r"^TOTAL .* (\S+%)$", report.stdout, re.MULTILINE)
    return total[1] if total else "unknown", report.returncode == 0


def run(*arguments: str, scratch: Path, captured: bool = False) -> subprocess.CompletedProcess[str]:
    """Run Python in the project's folder, with a home that is not the user's."""
    for name in ("home", "prepared"):
        (scratch / name).mkdir(exist_ok=True)
    kept = {name: os.environ[name] for name in ("PATH", "CI", "LANG", "TZ") if name in os.environ}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={
            **kept,
            "HOME": str(scratch / "home"),
            "MAHAVISHNU_TEST_PREPARED": str(scratch / "prepared"),
            "COVERAGE_FILE": str(CACHE / "coverage/data"),
            "HYPOTHESIS_STORAGE_DIRECTORY": str(CACHE / "hypothesis"),
        },
        stdout=subprocess.PIPE if captured else None,
        stderr=subprocess.STDOUT if captured else None,
        text=True,
        check=False,
    )


if __name__ == "__main__":
    sys.exit(main())
