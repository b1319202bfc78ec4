"""
What `make test` and `make test-peers` do: run tests in four lanes, the longest first.

`run_tests.py` runs our own with coverage and writes the page of what ran; `--peers` those with real third-party
programs; `--branches` measures branches instead of lines, which takes longer. Fails where a test fails twice, more
than five are flaky, or less than the demanded coverage is reached.
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

from scripts.lanes import ROOT, Job, Lanes, Verdict, describe
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
# Those that take longest; begun last, one of them would be waited for.
LONG_PEERS = (
    "test_running_sessions", "test_switching_qwen", "test_bound_directories", "test_bound_qwen",
    "test_prefect", "test_bound_codex", "test_claude_settings", "test_switching_claude", "test_switching_codex",
)  # fmt: skip


def main(arguments: Sequence[str]) -> int:
    """Run one suite; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("--peers", action="store_true", help="real third-party programs")
    parser.add_argument("--branches", action="store_true", help="measure branches, not lines")
    asked = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what was started ends as well
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mahavishnu-tests-", dir=find_room()) as scratch:
        if asked.peers:
            verdict, enough = run_peers(Path(scratch)), True
        else:
            verdict, enough = run_own(Path(scratch), branches=asked.branches)
    note_flaky("peers" if asked.peers else "own", verdict)
    print(describe(verdict, taken_s=time.monotonic() - started))
    return 0 if verdict.is_green and enough else 1


def run_peers(scratch: Path) -> Verdict:
    """Run the tests with real programs; they need to know how this machine reaches the network."""
    forget_notes(of_peers=True)
    environ = {**os.environ, **own_environ(scratch), "MAHAVISHNU_TEST_ALL": "1"}
    return Lanes(LANES, scratch, environ, options_of).run(list_peers())


def run_own(scratch: Path, *, branches: bool) -> tuple[Verdict, bool]:
    """Run our own tests; returns the verdict, and whether enough was measured."""
    shutil.rmtree(CACHE / "coverage", ignore_errors=True)
    (CACHE / "coverage").mkdir(parents=True)
    forget_notes(of_peers=False)
    environ = {
        **{name: os.environ[name] for name in ("PATH", "CI", "LANG", "TZ") if name in os.environ},
        **own_environ(scratch),
        # Lines cost next to nothing with Python's own monitoring, which knows branches from 3.14 on.
        "COVERAGE_CORE": "ctrace" if branches else "sysmon",
    }
    measure = ("-m", "coverage", "run", *("--branch",) * branches)
    verdict = Lanes(LANES, scratch, environ, options_of, measure).run(list_jobs())
    total, enough = measure_coverage(environ)
    write_page(PAGE, VERIFIED.glob("*.json"), root=ROOT)
    print(f"TOTAL coverage {total} (by module: .cache/coverage/report.txt)")
    return verdict, enough


def list_jobs() -> list[Job]:
    """Return what is tested of our own, the longest first."""
    acceptance = files_of("tests/acceptance")
    return [
        Job("integration", ("tests/integration", "tests/mutations"), measured=True),
        Job("repeated", REPEATED),
        Job("docs", ("tests/docs",)),
        *(Job(f"acceptance-{n + 1}", acceptance[n::SHARES], measured=True) for n in range(SHARES)),
        Job("unit", ("tests/unit", "tests/contracts", "tests/test_architecture.py"), measured=True),
    ]


def list_peers() -> list[Job]:
    """Return the tests with real programs, a job for each file, the longest first."""
    files = files_of("tests/peers")
    first = [f"tests/peers/{name}.py" for name in LONG_PEERS]
    ordered = sorted(files, key=lambda file: first.index(file) if file in first else len(first))
    return [Job(PEERS + Path(file).stem.removeprefix("test_"), (file,)) for file in ordered]


def files_of(folder: str) -> tuple[str, ...]:
    """Return the files of tests in a folder."""
    return tuple(str(p.relative_to(ROOT)) for p in sorted((ROOT / folder).glob("test_*.py")))


def options_of(job: Job) -> list[str]:
    """Return what pytest is told for a job: where to note what it verified, and what others run."""
    noted = ["-p", "tests.support.verified", "--verified", str(VERIFIED / f"{job.name}.json")]
    elsewhere = [path for path in REPEATED if not any(own.startswith(path) for own in job.paths)]
    return noted + [f"--ignore={path}" for path in elsewhere]


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


def forget_notes(*, of_peers: bool) -> None:
    """Remove what a former run of the same tests noted as verified."""
    for note in VERIFIED.glob("*.json"):
        if note.name.startswith(PEERS) == of_peers:
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
