"""
What became of each test of a process: a pytest plugin that writes it down as it happens.

`-p tests.support.outcomes --outcomes FILE` adds a line of JSON to FILE when a test begins, when it has ended, and
when the session has. Nothing that the tests or the process print can be taken for it, and what has no last line
broke off.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec
import pytest

type Word = Literal["passed", "failed", "error", "skipped", "xfailed"]

LEAK = "leak"  # marks tests that are not repeated: what went astray once did go astray
_GRAVITY: tuple[Word, ...] = ("passed", "xfailed", "skipped", "failed", "error")
_KEPT = 20_000  # characters of what pytest says of a failure


class Leaked(AssertionError):
    """Something went where it may not go; a test that says so is not repeated, with or without the mark."""


class Collected(msgspec.Struct, frozen=True, tag="collected"):
    """So many tests are going to run."""

    tests: int


class Began(msgspec.Struct, frozen=True, tag="began"):
    """A test has begun."""

    test: str


class Ended(msgspec.Struct, frozen=True, tag="ended"):
    """A test has ended, `seconds` after it began; `said` is what pytest shows of its first failure."""

    test: str
    outcome: Word
    said: str = ""
    is_leak: bool = False
    seconds: float = 0.0

    @property
    def is_red(self) -> bool:
        """Whether it keeps the run from being green."""
        return self.outcome in ("failed", "error")


class Closed(msgspec.Struct, frozen=True, tag="closed"):
    """The session has ended, with pytest's exit code."""

    status: int


type Line = Collected | Began | Ended | Closed


def read_outcomes(file: Path) -> list[Line]:
    """Return the lines of a file; a last one that broke off is left out."""
    whole = file.read_bytes().split(b"\n")[:-1] if file.exists() else []
    return [msgspec.json.decode(line, type=Line) for line in whole]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--outcomes FILE`."""
    parser.addoption("--outcomes", metavar="FILE", help="write down what became of each test")


def pytest_configure(config: pytest.Config) -> None:
    """Begin to write where that was asked for."""
    if file := config.getoption("--outcomes"):
        config.pluginmanager.register(Writer(Path(file)), "outcomes-writer")


class Writer:
    """Follows one session; a test's outcome is the worst of its set-up, call and tear-down."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._leaks: set[str] = set()
        self._worst: Word = "passed"
        self._said = ""
        self._began = 0.0

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Remember which tests are about leaks."""
        self._leaks = {item.nodeid for item in items if item.get_closest_marker(LEAK)}

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Write a file that cannot be collected as a test that ended with an error."""
        if report.failed:
            self._write(Ended(report.nodeid, "error", report.longreprtext[-_KEPT:]))

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Write how many tests there are."""
        self._write(Collected(len(session.items)))

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Write that a test begins."""
        self._worst, self._said, self._began = "passed", "", time.monotonic()
        self._write(Began(nodeid))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the worst outcome, and what was said first of a failure."""
        word = _word(report)
        self._worst = max(self._worst, word, key=_GRAVITY.index)
        if report.failed:
            self._said = self._said or report.longreprtext[-_KEPT:]

    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> None:
        """Remember a test that says that something leaked."""
        if call.excinfo is not None and _says_leaked(call.excinfo.value):
            self._leaks.add(item.nodeid)

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """Write what became of it."""
        taken_s = time.monotonic() - self._began
        self._write(Ended(nodeid, self._worst, self._said, nodeid in self._leaks, taken_s))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, exitstatus: int) -> Iterator[None]:
        """Write, when all others have finished too, that the session is over."""
        yield
        self._write(Closed(int(exitstatus)))

    def _write(self, line: Line) -> None:
        with self._file.open("ab") as file:
            file.write(msgspec.json.encode(line) + b"\n")


def _says_leaked(error: BaseException | None) -> bool:
    """Tell whether an error is `Leaked`, or was raised from one, or holds one."""
    if error is None or isinstance(error, Leaked):
        return error is not None
    held = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    return any(map(_says_leaked, (error.__cause__, error.__context__, *held)))


def _word(report: pytest.TestReport) -> Word:
    if report.failed:
        return "failed" if report.when == "call" else "error"
    if report.skipped:
        return "xfailed" if hasattr(report, "wasxfail") else "skipped"
    return "passed"
