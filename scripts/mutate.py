"""
Prove that the tests can fail: each seeded fault of `tests/mutations` must turn its tests red.

`faults.toml` names for each what is wrong, the text to exchange, and the tests that must fail by it and
pass without. Faults are made one by one in copies of the tree; the working tree is never touched. Names
of faults, or parts of them, as arguments narrow the run; `--passed` says that the tests are known to pass
without a fault, as after a whole run of them. `--sample` tries at most 100 of those whose code, tests or fixtures
changed in the last 30 commits, and 50 of the others, other ones with each commit. What needs a peer is left out
where that is not installed. Tests that do not end in time have noticed the fault.
"""

import asyncio
import functools
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path

from mahavishnu.database.embedded.server import EmbeddedServer
from scripts.faults import ROOT, TABLE, Fault, draw_sample, read_faults, read_history
from scripts.lanes import end_left
from tests.support.fork_server import ForkServer
from tests.support.missing_programs import PEERS_CACHE
from tests.support.parts import WHOLE
from tests.support.scratch import find_room

COPIED = (
    *("mahavishnu", "scripts", "tests", "docs", "pyproject.toml"),
    *("Makefile", "requirements-session-buddy.lock"),
)
WORKERS = 4  # on two cores: half of a test is waiting for PostgreSQL or a process
RUN_TIMEOUT_S = 300
TESTS_FAILED = 1  # pytest's exit code; the other ones say that nothing was tested
_FAILED = re.compile(r"^FAILED (tests/\S+?::\w+)", re.MULTILINE)


@dataclass(frozen=True)
class Verdict:
    """What became of a fault; `problem` is empty where every named test went red."""

    fault: Fault
    problem: str
    seconds: float


def main(arguments: Sequence[str]) -> int:
    """Run the faults, print a table and a closing line; 0 where all were caught."""
    wanted = [word for word in arguments if word not in ("--passed", "--sample")]
    faults = [
        fault
        for fault in read_faults((ROOT / TABLE).read_text(encoding="utf-8"))
        if not wanted or any(word in fault.name for word in wanted)
    ]
    if not faults:
        print(f"no fault has a name with {' or '.join(wanted)} in it", file=sys.stderr)
        return 2
    if "--sample" in arguments:
        faults, told = draw_sample(faults, read_history())
        print(told, flush=True)
    absent = [fault for fault in faults if fault.needs and find_spec(fault.needs) is None]
    for fault in absent:
        faults.remove(fault)
        print(f"left out  {fault.name}: {fault.needs} is not installed")
    with tempfile.TemporaryDirectory(prefix="mahavishnu-faults-", dir=find_room()) as name:
        scratch = Path(name)
        for folder in ("home", "prepared"):
            (scratch / folder).mkdir()
        os.environ["HOME"] = str(scratch / "home")
        with shared_cluster(scratch / "postgres", faults) as cluster:
            environ = {
                "PATH": os.environ["PATH"],
                "HOME": os.environ["HOME"],
                "MAHAVISHNU_TEST_PREPARED": str(scratch / "prepared"),
                PEERS_CACHE: str(ROOT / ".cache/peers"),  # installed once for all copies
                WHOLE: "1",  # a fault may show at one step alone
                **cluster,
            }
            unpatched = copy_tree(scratch / "unpatched")
            if not is_tested(unpatched, environ):
                return 1
            tests = sorted({test for fault in faults for test in fault.tests})
            if "--passed" not in arguments and not all_pass(unpatched, tests, environ):
                return 1
            # What starts whole processes takes longest, and should not come last.
            faults.sort(key=lambda fault: "tests/acceptance/" not in " ".join(fault.tests))
            with ThreadPoolExecutor(WORKERS) as pool:
                runs = pool.map(lambda fault: try_fault(fault, scratch, environ), faults)
                verdicts = [report(verdict) for verdict in runs]
    survivors = [verdict for verdict in verdicts if verdict.problem]
    # Once more at the end: of a long run's output often only the end is looked at.
    for verdict in survivors:
        report(verdict)
    print(f"{len(faults)} faults, {len(faults) - len(survivors)} caught")
    return 0 if faults and not survivors else 1


@contextmanager
def shared_cluster(folder: Path, faults: Sequence[Fault]) -> Iterator[dict[str, str]]:
    """Keep one PostgreSQL for all runs; yields what `tests/conftest.py` reads from the environment."""
    if all(test.startswith("tests/unit/") for fault in faults for test in fault.tests):
        yield {}
        return
    server = EmbeddedServer(folder, idle_timeout=timedelta(seconds=2))
    lease = asyncio.run(server.acquire())
    try:
        yield {"MAHAVISHNU_TEST_CLUSTER": str(lease.socket_folder)}
    finally:
        lease.close()


def copy_tree(target: Path) -> Path:
    """Copy what a test run needs to `target` and return it."""
    target.mkdir()
    for name in COPIED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        copy(ROOT / name, target / name)
    return target


def is_tested(copy: Path, environ: Mapping[str, str]) -> bool:
    """Tell whether tests that run in the copy test the copy."""
    imported = subprocess.run(
        [sys.executable, "-c", "import mahavishnu; print(mahavishnu.__file__)"],
        cwd=copy, env={**environ, "PYTHONPATH": str(copy)}, capture_output=True, text=True,
        check=True,
    ).stdout  # fmt: skip
    if not Path(imported.strip()).is_relative_to(copy):
        print(f"The copy is not what is tested, but {imported.strip()}")
        return False
    return True


def all_pass(copy: Path, tests: Sequence[str], environ: Mapping[str, str]) -> bool:
    """Tell whether the tests are green without a fault."""
    status, said = run_pytest(copy, tests, environ, timeout_s=RUN_TIMEOUT_S * 12)
    if status != 0:
        print(said)
        print("These tests are red without any fault.")
    return status == 0


def try_fault(fault: Fault, scratch: Path, environ: Mapping[str, str]) -> Verdict:
    """Apply a fault to a copy and run its tests there."""
    started = time.monotonic()
    copy = copy_tree(scratch / fault.name)
    problem = find_problem(fault, copy, environ)
    shutil.rmtree(copy)
    return Verdict(fault, problem, time.monotonic() - started)


def find_problem(
    fault: Fault, copy: Path, environ: Mapping[str, str], timeout_s: float = RUN_TIMEOUT_S
) -> str:
    """Return why the fault does not count as caught, or nothing."""
    source = copy / fault.file
    text = source.read_text(encoding="utf-8")
    if text.count(fault.old) != 1:
        return f"its text stands {text.count(fault.old)} times in {fault.file}"
    source.write_text(text.replace(fault.old, fault.new), encoding="utf-8")
    status, said = run_pytest(copy, fault.tests, environ, timeout_s)
    if status is None:
        return ""  # a fault that keeps its tests from ending is noticed
    if status not in (0, TESTS_FAILED):
        return f"pytest left with {status}:\n{said}"
    green = set(fault.tests) - set(_FAILED.findall(said))
    return f"not noticed by {', '.join(sorted(green))}" if green else ""


def run_pytest(
    copy: Path, tests: Sequence[str], environ: Mapping[str, str], timeout_s: float = RUN_TIMEOUT_S
) -> tuple[int | None, str]:
    """
    Run the tests of a copy, alike every time; returns pytest's exit code, None if it did not end.

    It is forked from a process that has imported what is not the copy's own, which takes two thirds of a run.
    """
    words = [
        *("pytest", "-q", "--tb=line", "-rfE"),
        *("-p", "no:cacheprovider", "--hypothesis-seed=0", "--basetemp", str(copy / ".tmp")),
        *("-o", "timeout=120"),  # of a test: one that a fault keeps from ending is red by then
        *("-x",) * (len(tests) == 1),  # the first red case of one test is enough
        *tests,
    ]
    try:
        status, out, errors = start_server().run(
            words, environ={**environ, "PYTHONPATH": str(copy), "COLUMNS": "400"}, cwd=copy, given=b"",
            timeout_s=timeout_s,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        end_left(copy)
        return None, ""
    return status, (out + errors).decode(errors="replace")


@functools.cache
def start_server() -> ForkServer:
    """Start the process that forks pytest, once."""
    names = ("PATH", "HOME", "LANG", "TZ", "CI")
    given = {name: os.environ[name] for name in names if name in os.environ}
    return ForkServer(given, "pytest")


def report(verdict: Verdict) -> Verdict:
    """Print the line of a fault and return its verdict."""
    mark = "SURVIVED" if verdict.problem else "caught"
    print(f"{mark:8} {verdict.seconds:5.1f} s  {verdict.fault.name}", flush=True)
    if verdict.problem:
        print(f"         {verdict.fault.says}\n         {verdict.problem}", flush=True)
    return verdict


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
