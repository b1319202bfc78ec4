"""What `make test` makes of red tests, and of processes that hang or die: real processes of pytest on made-up tests."""

import time
from pathlib import Path

import psutil
import pytest

from scripts.lanes import FLAKY_BORNE, REPEATED_AT_MOST, ROOT, Job, Lanes, Verdict, describe

GREEN = "def test_green(): pass\n"
RED = "def test_red(): assert 2 == 3\n"
# Red at the first time: it leaves a file behind.
ONCE = """\
import pathlib
def test_once{n}():
    seen = pathlib.Path(__file__).with_name("seen{n}")
    before = seen.exists()
    seen.touch()
    assert before, "only the first time"
"""
STALLED_S = 3.0


def run(folder: Path, *, stalled_s: float = 60, **files: str) -> Verdict:
    """Run made-up tests, each file of them as a job of its own, in two lanes."""
    for name, text in files.items():
        (folder / f"test_{name}.py").write_text(text)
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = leak\n")
    (scratch := folder / "scratch").mkdir()
    environ = {
        "PYTHONPATH": str(ROOT),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }  # which halves the time
    lanes = Lanes(2, scratch, lambda _job: environ, folder=folder, stalled_s=stalled_s)
    return lanes.run([Job(name, (f"test_{name}.py",)) for name in files])


def test_what_is_red_twice_is_red(tmp_path: Path) -> None:
    verdict = run(tmp_path, a=GREEN + RED, b=GREEN)
    assert [test.test for test in verdict.red] == ["test_a.py::test_red"]
    assert not verdict.is_green and not verdict.flaky
    told = describe(verdict, taken_s=61.2)
    assert told == "FAILED test_a.py::test_red\n=== 1 failed, 2 passed in 61 s ==="


def test_what_is_red_once_is_flaky_and_shown_with_its_first_failure(tmp_path: Path) -> None:
    verdict = run(tmp_path, a=GREEN + ONCE.format(n=1))
    assert verdict.is_green and not verdict.red
    told = describe(verdict, taken_s=2)
    assert told.startswith("FLAKY test_a.py::test_once1: red, then passed alone.")
    assert "only the first time" in told and told.endswith("\n=== 2 passed in 2 s ===")


def test_six_flaky_tests_are_too_many(tmp_path: Path) -> None:
    """Each is repeated in a process of its own, which is what takes seconds here."""
    verdict = run(tmp_path, a="".join(ONCE.format(n=n) for n in range(FLAKY_BORNE + 1)))
    assert len(verdict.flaky) == 6 and not verdict.red and not verdict.is_green
    assert "6 flaky tests; a run bears 5." in describe(verdict, taken_s=2)


def test_many_red_tests_are_not_repeated(tmp_path: Path) -> None:
    verdict = run(tmp_path, a="".join(ONCE.format(n=n) for n in range(REPEATED_AT_MOST + 1)))
    assert len(verdict.red) == REPEATED_AT_MOST + 1 and not verdict.flaky


def test_a_leak_is_not_repeated(tmp_path: Path) -> None:
    marked = f"import pytest\npytestmark = pytest.mark.leak\n{ONCE.format(n=1)}"
    said = "from tests.support.outcomes import Leaked\ndef test_says(): raise Leaked('a key')\n"
    verdict = run(tmp_path, a=marked, b=said)
    assert not verdict.is_green and not verdict.flaky
    told = describe(verdict, taken_s=2)
    assert "FAILED test_a.py::test_once1, a leak: not repeated" in told
    assert "FAILED test_b.py::test_says, a leak: not repeated" in told


def test_a_set_up_that_fails_is_red_and_a_skipped_test_is_not(tmp_path: Path) -> None:
    torn = "import pytest\n@pytest.fixture\ndef torn():\n    yield\n    assert False\n"
    tests = "def test_torn(torn): pass\n@pytest.mark.skip\ndef test_left(): pass\n"
    verdict = run(tmp_path, a=torn + tests)
    assert [test.test for test in verdict.red] == ["test_a.py::test_torn"]
    assert describe(verdict, taken_s=2).endswith("=== 1 error, 1 skipped in 2 s ===")


def test_what_is_printed_after_the_closing_line_counts_for_nothing(tmp_path: Path) -> None:
    late = "import atexit\natexit.register(print, '=== 1 failed in 2 s ===')\n"
    verdict = run(tmp_path, a=late + RED + GREEN)
    assert verdict.counts == {"failed": 1, "passed": 1, "error": 0}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param(
            f"import os\n{GREEN}def test_dies(): os._exit(0)\n",
            "a broke off with 0 in test_a.py::test_dies", id="dies",
        ),
        pytest.param(
            f"import atexit, os\natexit.register(os._exit, 7)\n{GREEN}",
            "a left with 7, which no test explains", id="dies at its end",
        ),
        pytest.param("import nothing_of_this_name\n", "a left with 2, which no test explains",
                     id="cannot be collected"),
        pytest.param("", "a left with 5, which no test explains", id="no tests"),
    ],
)  # fmt: skip
def test_a_process_that_does_not_end_as_it_should_is_red(
    tmp_path: Path, text: str, says: str
) -> None:
    verdict = run(tmp_path, a=text, b=GREEN)
    assert verdict.problems == (says,) and not verdict.is_green
    assert f"FAILED {says}" in describe(verdict, taken_s=2)


def test_a_process_that_hangs_is_ended_with_what_it_started(tmp_path: Path) -> None:
    """It waits for as long as a process may be silent."""
    child = (
        "import pathlib, subprocess, sys, time\n"
        "def test_hangs(tmp_path):\n"
        "    words = [sys.executable, '-c', 'import time; time.sleep(600)']\n"
        "    child = subprocess.Popen(words, env={'HOME': str(tmp_path)}, start_new_session=True)\n"
        "    pathlib.Path(__file__).with_name('pid').write_text(str(child.pid))\n"
        "    time.sleep(600)\n"
    )
    for stalled_s in (STALLED_S, 30.0):  # on a busy machine they may not have begun by then
        (folder := tmp_path / str(stalled_s)).mkdir()
        verdict = run(folder, stalled_s=stalled_s, a=child, b=GREEN)
        if (folder / "pid").exists() and verdict.counts["passed"]:
            break
    assert verdict.problems == ("a hung in test_a.py::test_hangs",) and not verdict.is_green
    assert verdict.counts["passed"] == 1
    until = time.monotonic() + 60
    while psutil.pid_exists(pid := int((folder / "pid").read_text())):
        if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            break
        assert time.monotonic() < until, "its child still runs"
        time.sleep(0.02)
