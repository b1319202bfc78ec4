"""
What `make test`, `make test-peers` and `make test-all` do: run tests in four lanes, the longest first.

`run_tests.py` runs our own with coverage and writes the page of what ran; `--peers` those with real third-party
programs; `--all` both in one pool, so that where one waits another works; `--branches` measures branches instead of
lines, which takes longer. Fails where a test fails twice, more than five are flaky, or less than the demanded coverage
is reached. `--record` writes down how long each file took.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from scripts.durations import Durations, read_durations, record_durations
from scripts.lanes import ROOT, Job, Lanes, Verdict, describe
from tests.support.parts import WHOLE, draw_seed
from tests.support.scratch import find_room
from tests.support.verified import PEERS, write_page

CACHE = ROOT / ".cache"
VERIFIED = CACHE / "integrations"
FLAKY = CACHE / "flaky"  # the names of a run's flaky tests, which `.ci/run` adds up
PAGE = ROOT / "docs/reference/verified.md"
LANES = 4  # on two cores: a third of a test is waiting, and two thirds of one with a real program
SHARES = 8  # of the acceptance tests; each process imports everything, and makes a home
# The same lines thousands of times: other tests measure them, in a third of the time.
REPEATED = (
    "tests/contracts/test_documents.py",
    "tests/integration/test_ai_files_faults.py",
    "tests/integration/test_ai_switch_faults.py",
    "tests/integration/test_ai_switch_matrix.py",
)


def main(arguments: Sequence[str]) -> int:
    """Run one suite; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    suite = parser.add_mutually_exclusive_group()
    suite.add_argument("--peers", action="store_true", help="real third-party programs")
    suite.add_argument("--all", action="store_true", help="those and our own, in one pool")
    parser.add_argument("--branches", action="store_true", help="measure branches, not lines")
    parser.add_argument("--record", action="store_true", help="write tests/durations.json")
    asked = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what was started ends as well
    print(f"seed {draw_seed()}", flush=True)
    started = time.monotonic()
    durations = read_durations()
    jobs = list_peers() * (asked.peers or asked.all) + list_own(durations) * (not asked.peers)
    jobs.sort(key=lambda job: -durations.of(job.paths))
    with tempfile.TemporaryDirectory(prefix="mahavishnu-tests-", dir=find_room()) as scratch:
        verdict, enough = run(jobs, Path(scratch), branches=asked.branches)
        if asked.record:
            record_durations(Path(scratch).glob("*.outcomes"))
    note_flaky("peers" if asked.peers else "all" if asked.all else "own", verdict)
    print(describe(verdict, taken_s=time.monotonic() - started))
    return 0 if verdict.is_green and enough else 1


def run(jobs: Sequence[Job], scratch: Path, *, branches: bool) -> tuple[Verdict, bool]:
    """Run jobs; returns the verdict, and whether enough was measured where something is."""
    forget_notes(jobs)
    own = own_environ(scratch)
    # Lines cost next to nothing with Python's own monitoring, which knows branches from 3.14 on.
    kept = {
        name: os.environ[name] for name in ("PATH", "CI", "LANG", "TZ", WHOLE) if name in os.environ
    }
    ours = {**kept, **own, "COVERAGE_CORE": "ctrace" if branches else "sysmon"}
    # Real programs need to know how this machine reaches the network.
    theirs = {**os.environ, **own, "MAHAVISHNU_TEST_ALL": "1"}
    measure = ("-m", "coverage", "run", *("--branch",) * branches)
    is_measured = any(job.measured for job in jobs)
    if is_measured:
        shutil.rmtree(CACHE / "coverage", ignore_errors=True)
        (CACHE / "coverage").mkdir(parents=True)
    lanes = Lanes(LANES, scratch, lambda job: theirs if is_peer(job) else ours, options_of, measure)
    verdict = lanes.run(jobs)
    if not is_measured:
        return verdict, True
    total, enough = measure_coverage(ours)
    if any(VERIFIED.glob(f"{PEERS}*.json")):  # our own tests alone leave the tree as it was
        write_page(PAGE, VERIFIED.glob("*.json"), root=ROOT)
    below = "" if enough else ", FAILED: less than is demanded"
    print(f"TOTAL coverage {total}{below} (by module: .cache/coverage/report.txt)")
    return verdict, enough


def list_own(durations: Durations) -> list[Job]:
    """Return what is tested of our own."""
    acceptance = durations.share_out(files_of("tests/acceptance"), SHARES)
    return [
        Job("integration", ("tests/integration", "tests/mutations"), measured=True),
        Job("repeated", REPEATED),
        Job("docs", ("tests/docs",)),
        *(Job(f"acceptance-{n}", share, measured=True) for n, share in enumerate(acceptance, 1)),
        Job("unit", ("tests/unit", "tests/contracts", "tests/test_architecture.py"), measured=True),
    ]


def list_peers() -> list[Job]:
    """Return the tests with real programs, a job for each file."""
    return [
        Job(PEERS + Path(file).stem.removeprefix("test_"), (file,))
        for file in files_of("tests/peers")
    ]


def is_peer(job: Job) -> bool:
    """Tell whether a job, or its repetition, runs real programs."""
    return job.name.startswith(PEERS)


def files_of(folder: str) -> tuple[str, ...]:
    """Return the files of tests in a folder."""
    return tuple(str(p.relative_to(ROOT)) for p in sorted((ROOT / folder).glob("test_*.py")))


def options_of(job: Job) -> list[str]:
    """Return what pytest is told for a job: where to note what it verified, and what others run."""
    noted = ["-p", "tests.support.verified", "--verified", str(VERIFIED / f"{job.name}.json")]
    elsewhere = [path for path in REPEATED if not any(own.startswith(path) for own in job.paths)]
    drawn = [f"--hypothesis-seed={draw_seed()}"]  # by the commit: what is red can be repeated
    return noted + drawn + [f"--ignore={path}" for path in elsewhere]


def own_environ(scratch: Path) -> dict[str, str]:
    """Return what every process is told: a home that is not the user's, and where to put things."""
    for name in ("home", "prepared"):
        (scratch / name).mkdir(exist_ok=True)
    return {
        "HOME": str(scratch / "home"),
        "MAHAVISHNU_TEST_PREPARED": str(scratch / "prepared"),
        "COVERAGE_FILE": str(CACHE / "coverage/data"),
        "HYPOTHESIS_STORAGE_DIRECTORY": str(CACHE / "hypothesis"),
    }


def forget_notes(jobs: Sequence[Job]) -> None:
    """Remove what a former run of the same suites noted as verified."""
    suites = {is_peer(job) for job in jobs}
    for note in VERIFIED.glob("*.json"):
        if note.name.startswith(PEERS) in suites:
            note.unlink()


def note_flaky(suite: str, verdict: Verdict) -> None:
    """Write the names of the flaky tests into a file of the suite's, a line each."""
    FLAKY.mkdir(parents=True, exist_ok=True)
    (FLAKY / suite).write_text("".join(f"{test.test}\n" for test in verdict.flaky))


def measure_coverage(environ: dict[str, str]) -> tuple[str, bool]:
    """Put the measurements together; returns the total and whether it reaches the demanded floor."""
    program = (sys.executable, "-m", "coverage")
    subprocess.run([*program, "combine", "--quiet"], cwd=ROOT, env=environ, check=False)
    report = subprocess.run(
        [*program, "report"], cwd=ROOT, env=environ, capture_output=True, text=True, check=False
    )
    (CACHE / "coverage/report.txt").write_text(report.stdout, encoding="utf-8")
    total = re.search(r"^TOTAL .* (\S+%)$", report.stdout, re.MULTILINE)
    return total[1] if total else "unknown", report.returncode == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
