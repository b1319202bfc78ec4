"""
Which integrations a run has shown to work: a pytest plugin that notes it, and the page that tells.

A test says `@pytest.mark.verifies("embedded PostgreSQL")`; `-p tests.verified --verified FILE` notes
in FILE which of those passed. `write_page` merges such files into `docs/reference/verified.md`.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

REAL, WIRE, NOT_RUN = "ran for real", "wire peer only", "generated and not run"
# Every integration of the product, with what a passing test of it shows.
INTEGRATIONS = {
    "embedded PostgreSQL": REAL,
    "PostgreSQL 16 of one's own": REAL,
    "PostgreSQL 18 of one's own": REAL,
    "PgBouncer in transaction mode": REAL,
    "Debian's PostgreSQL 15, refused as too old": REAL,
    "Linux, root through a user namespace": REAL,
    "Linux, root through a capability": REAL,
    "Linux, ordinary user": REAL,
    "macOS, watching the keeper": REAL,
    "all-MiniLM-L6-v2 in this process": REAL,
    "nomic-embed-text in this process": REAL,
    "Ollama": REAL,
    "Ollama's API": WIRE,
    "OpenAI-compatible API": WIRE,
}
HEADER = f"""# What the tests verified

Written by `make test`, and by `make test-peers` for the programs of other people.

- *{REAL}*: the named test ran against the thing itself, and passed.
- *{WIRE}*: it ran against another program that speaks the same protocol.
- *{NOT_RUN}*: the code is there; no test has met the other side.

A line stays as it is while its test exists and a run could not try it, for want of the program.

| integration | how far | shown by |
|---|---|---|
"""
_ROW = re.compile(r"^\| (.+?) \| (.+?) \| `(.+?)` \|$", re.MULTILINE)


@dataclass
class Noted:
    """The plugin's state: marked tests by id, and what became of their integrations."""

    file: Path
    marks: dict[str, list[str]]
    passed: dict[str, str]
    failed: dict[str, str]


_noted = pytest.StashKey[Noted]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--verified FILE`."""
    parser.addoption("--verified", metavar="FILE", help="note which integrations were shown")


def pytest_configure(config: pytest.Config) -> None:
    """Begin to note where that was asked for."""
    file = config.getoption("--verified")
    if file:
        noted = Noted(Path(file).resolve(), {}, {}, {})
        config.stash[_noted] = noted
        config.pluginmanager.register(Recorder(noted), "verified-recorder")


class Recorder:
    """Follows the marked tests of one run."""

    def __init__(self, noted: Noted) -> None:
        self._noted = noted

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Remember the marks; a name that is not in `INTEGRATIONS` is an error."""
        for item in items:
            names = [name for mark in item.iter_markers("verifies") for name in mark.args]
            for name in names:
                if name not in INTEGRATIONS:
                    raise pytest.UsageError(f"{item.nodeid} verifies an unknown {name!r}")
            if names:
                self._noted.marks[item.nodeid] = names

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note an outcome; a skipped test shows nothing."""
        for name in self._noted.marks.get(report.nodeid, ()):
            if report.failed:
                self._noted.failed[name] = report.nodeid
            elif report.passed and report.when == "call" and not hasattr(report, "wasxfail"):
                self._noted.passed.setdefault(name, report.nodeid)

    def pytest_sessionfinish(self) -> None:
        """Write what was shown: the first passing test of each integration that none failed."""
        shown = {n: test for n, test in self._noted.passed.items() if n not in self._noted.failed}
        self._noted.file.parent.mkdir(parents=True, exist_ok=True)
        self._noted.file.write_text(json.dumps(shown, indent=1) + "\n", encoding="utf-8")


def write_page(page: Path, notes: Iterable[Path], *, root: Path) -> None:
    """Bring `page` in line with what the runs noted; the file is untouched where nothing changed."""
    shown: dict[str, str] = {}
    for file in sorted(notes):
        shown |= json.loads(file.read_text(encoding="utf-8"))
    before = page.read_text(encoding="utf-8") if page.exists() else ""
    text = HEADER + "".join(f"| {' | '.join(row)} |\n" for row in _rows(shown, before, root))
    if text != before:
        page.write_text(text, encoding="utf-8")


def _rows(shown: Mapping[str, str], before: str, root: Path) -> Iterable[tuple[str, str, str]]:
    earlier = {name: test for name, _, test in _ROW.findall(before)}
    for name, meaning in INTEGRATIONS.items():
        test = shown.get(name) or earlier.get(name)
        if test and _exists(test, root):
            yield name, meaning, f"`{test}`"
        else:
            yield name, NOT_RUN, ""


def _exists(test: str, root: Path) -> bool:
    file, _, name = test.partition("::")
    path = root / file
    defined = f"def {name.partition('[')[0]}("
    return path.is_file() and defined in path.read_text(encoding="utf-8")
