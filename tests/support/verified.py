"""
Which integrations a run has shown to work: a pytest plugin that notes it, and the page that tells.

A test says `@pytest.mark.verifies("embedded PostgreSQL")`; `-p tests.support.verified --verified FILE` notes
in FILE what became of each such test. `write_page` merges such files into `docs/reference/verified.md`.
"""

import ast
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
import pytest

type Outcome = Literal["passed", "failed", "skipped"]

PEERS = "peers-"  # begins the names of what `make test-peers` notes, which `make test` does not run
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
    "MCP conformance suite, 2025-11-25 and 2026-07-28": REAL,
    "MCP Python SDK's client, HTTP and stdio": REAL,
    "Claude Code over HTTP": REAL,
    "Claude Code over stdio": REAL,
    "Claude Code and Qwen Code of two people on one PostgreSQL": REAL,
    "Codex, by what `mcp config` prints": REAL,
    "Qwen Code, by what `mcp config` prints": REAL,
    "Claude Code, key by helper": REAL,
    "Claude Code, switching": REAL,
    "Claude Code, ai run": REAL,
    "Claude Code, bound directory": REAL,
    "Codex, switching": REAL,
    "Codex, ai run": REAL,
    "Codex, bound directory": REAL,
    "Qwen Code, switching": REAL,
    "Qwen Code, ai run": REAL,
    "Qwen Code, bound directory": REAL,
    "Claude Code, settings and fence": REAL,
    "Claude Code, sessions and restart": REAL,
    "Codex, sessions and restart": REAL,
    "Qwen Code, sessions and restart": REAL,
    "Claude's desktop app on macOS, restart": REAL,
    "GPG, files of keys": REAL,
    "age, files of keys": REAL,
    "keyring, with a backend that encrypts": REAL,
    "AWS Secrets Manager, by Oneiric": WIRE,
    "GCP Secret Manager, by Oneiric": REAL,
    "Google Cloud Storage, backup sets": WIRE,
    "S3, backup sets": WIRE,
    "Prefect, hooks of flows and tasks": REAL,
    "Prefect, flow runs and events of a server": REAL,
    "Agno, recorder, tools and knowledge": REAL,
    "Session-Buddy, started so that it keeps its data": REAL,
    "Session-Buddy, restarted by the daemon": REAL,
    "Session-Buddy, insights and the tier development": REAL,
    "Session-Buddy, its checkpoints and quality score": REAL,
    "systemd of the user, the daemon at login": REAL,
    "systemd of the user, services": REAL,
    "supervisord, services and the daemon": REAL,
    "launchd, services and the daemon": REAL,
}
HEADER = f"""# What the tests verified

Written by `make test-all`, and by `make test` after `make test-peers`.

- *{REAL}*: the named test ran against the thing itself, and passed.
- *{WIRE}*: it ran against another program that speaks the same protocol.
- *{NOT_RUN}*: the code is there; no test has met the other side, or the named one failed.

A line of a test that could not be tried, because the program is missing, says why it is listed.

| integration | how far | shown by |
|---|---|---|
"""
_ROW = re.compile(r"^\| (.+?) \| (.+?) \| `(.+?)`.* \|$", re.MULTILINE)


class Noted(msgspec.Struct, frozen=True):
    """One marked test of a run: the integrations it is about, and what became of it."""

    verifies: list[str]
    outcome: Outcome


type Notes = dict[str, Noted]  # by the test's id


@dataclass
class State:
    """The plugin's state: marked tests by id, and their outcomes."""

    file: Path
    marks: dict[str, list[str]]
    outcomes: dict[str, Outcome]


_state = pytest.StashKey[State]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--verified FILE`."""
    parser.addoption("--verified", metavar="FILE", help="note which integrations were shown")


def pytest_configure(config: pytest.Config) -> None:
    """Begin to note where that was asked for."""
    file = config.getoption("--verified")
    if file:
        state = State(Path(file).resolve(), {}, {})
        config.stash[_state] = state
        config.pluginmanager.register(Recorder(state), "verified-recorder")


class Recorder:
    """Follows the marked tests of one run."""

    def __init__(self, state: State) -> None:
        self._state = state

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Remember the marks; a name that is not in `INTEGRATIONS` is an error."""
        for item in items:
            names = [name for mark in item.iter_markers("verifies") for name in mark.args]
            for name in names:
                if name not in INTEGRATIONS:
                    raise pytest.UsageError(f"{item.nodeid} verifies an unknown {name!r}")
            if names:
                self._state.marks[item.nodeid] = names

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note an outcome; the worst of set-up, call and tear-down stays. An expected failure is one."""
        if report.nodeid not in self._state.marks:
            return
        if report.failed or hasattr(report, "wasxfail"):
            self._state.outcomes[report.nodeid] = "failed"
        elif report.skipped:
            self._state.outcomes.setdefault(report.nodeid, "skipped")
        elif report.when == "call":
            self._state.outcomes.setdefault(report.nodeid, "passed")

    def pytest_sessionfinish(self) -> None:
        """Write what became of the marked tests; one that was not reached is not among them."""
        notes = {
            test: Noted(self._state.marks[test], outcome)
            for test, outcome in self._state.outcomes.items()
        }
        self._state.file.parent.mkdir(parents=True, exist_ok=True)
        self._state.file.write_bytes(msgspec.json.format(msgspec.json.encode(notes), indent=1))


def write_page(page: Path, notes: Iterable[Path], *, root: Path) -> None:
    """
    Bring `page` in line with what the runs noted; the file is untouched where nothing changed.

    A line of the page that no test of this run can speak about stays: its test was skipped, or is one
    of the peers', which did not run. The test must still be there with its mark.
    """
    files = sorted(notes, key=lambda file: file.stat().st_mtime_ns)  # what was repeated counts
    seen: Notes = {}
    for file in files:
        seen |= msgspec.json.decode(file.read_bytes(), type=Notes)
    peers_ran = any(file.name.startswith(PEERS) for file in files)
    before = page.read_text(encoding="utf-8") if page.exists() else ""
    earlier = {
        name: test for name, far, test in _ROW.findall(before) if far == INTEGRATIONS.get(name)
    }
    text = HEADER
    for name, meaning in INTEGRATIONS.items():
        far, by = _find_shown(name, meaning, seen, root) or _inherit(
            name, meaning, earlier.get(name, ""), seen, root, peers_ran=peers_ran
        )
        text += f"| {name} | {far} | {by} |\n"
    if text != before:
        page.write_text(text, encoding="utf-8")


def _find_shown(name: str, meaning: str, seen: Notes, root: Path) -> tuple[str, str] | None:
    """Return what the run's tests say about an integration; None where they say nothing."""
    first: dict[Outcome, str] = {}
    for test, noted in sorted(seen.items()):  # the same test each time, whichever ended first
        if name in noted.verifies and has_mark(test, name, root):
            first.setdefault(noted.outcome, test)
    if "failed" in first:
        return NOT_RUN, f"`{first['failed']}`, which failed"
    return (meaning, f"`{first['passed']}`") if "passed" in first else None


def _inherit(
    name: str, meaning: str, test: str, seen: Notes, root: Path, *, peers_ran: bool
) -> tuple[str, str]:
    """Return the earlier line, with why it stands, where this run could not have tried its test."""
    skipped = test in seen and seen[test].outcome == "skipped"
    left_out = test.startswith("tests/peers/") and not peers_ran
    if (skipped or left_out) and has_mark(test, name, root):
        return meaning, f"`{test}`, {'skipped' if skipped else 'not run'} last time"
    return NOT_RUN, ""


def has_mark(test: str, name: str, root: Path) -> bool:
    """Tell whether the function of a test's id is still there and says that it verifies `name`, or its class does."""
    file, *names = test.partition("[")[0].split("::")
    path = root / file
    if not path.is_file():
        return False
    named = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    found = [
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, named) and node.name in names
    ]
    inherited = len(names) > 1 and any(isinstance(node, ast.ClassDef) for node in found)
    if not inherited and all(node.name != names[-1] for node in found):
        return False
    return any(
        isinstance(part, ast.Constant) and part.value == name
        for node in found
        for decorator in node.decorator_list
        for part in ast.walk(decorator)
    )
