"""What `make test` writes when it is done: the page of what was verified."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from tests.support.verified import NOT_RUN, REAL, WIRE, write_page
from tests.support.verified import PEERS as BEGINNING

REPOSITORY = Path(__file__).parents[2]
OWN, PEER = "tests/acceptance/test_own.py::test_own", "tests/peers/test_peer.py::test_peer"
PEERS = f"{BEGINNING}wire.json"
SERVER, API = "embedded PostgreSQL", "Ollama's API"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with two marked tests and a page that tells of both."""
    for test, name in ((OWN, SERVER), (PEER, API)):
        mark(tmp_path, test, name)
    note(tmp_path, "own.json", {OWN: ([SERVER], "passed")})
    note(tmp_path, PEERS, {PEER: ([API], "passed")})
    assert rows(tmp_path) == {SERVER: (REAL, f"`{OWN}`"), API: (WIRE, f"`{PEER}`")}
    return tmp_path


def mark(root: Path, test: str, name: str) -> None:
    file, _, function = test.partition("::")
    (root / file).parent.mkdir(parents=True, exist_ok=True)
    (root / file).write_text(
        f"import pytest\n\n@pytest.mark.verifies({name!r})\nasync def {function}() -> None:\n    pass\n"
    )


def note(root: Path, file: str, tests: dict[str, tuple[list[str], str]]) -> None:
    body = {test: {"verifies": v, "outcome": outcome} for test, (v, outcome) in tests.items()}
    (root / file).write_bytes(msgspec.json.encode(body))


def rows(root: Path) -> dict[str, tuple[str, str]]:
    """Write the page twice, the second time to no effect, and return the lines of the two tests."""
    page = root / "verified.md"
    write_page(page, root.glob("*.json"), root=root)
    text = page.read_text()
    write_page(page, root.glob("*.json"), root=root)
    assert page.read_text() == text
    cells = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("| ")]
    found = {name.strip(): (far.strip(), by.strip()) for name, far, by in cells}
    return {name: found[name] for name in (SERVER, API)}


def test_a_run_that_noted_nothing_shows_nothing(root: Path) -> None:
    note(root, "own.json", {})
    note(root, PEERS, {})
    assert rows(root) == {SERVER: (NOT_RUN, ""), API: (NOT_RUN, "")}


@pytest.mark.parametrize("file", ["own.json", PEERS])
def test_a_failed_test_shows_that_it_failed_and_is_not_inherited(root: Path, file: str) -> None:
    test, name = (OWN, SERVER) if file == "own.json" else (PEER, API)
    note(root, file, {test: ([name], "failed")})
    assert rows(root)[name] == (NOT_RUN, f"`{test}`, which failed")
    note(root, file, {test: ([name], "skipped")})
    assert rows(root)[name] == (NOT_RUN, "")


def test_a_skipped_test_keeps_its_line_which_says_so(root: Path) -> None:
    note(root, "own.json", {OWN: ([SERVER], "skipped")})
    assert rows(root)[SERVER] == (REAL, f"`{OWN}`, skipped last time")
    note(root, "own.json", {OWN: ([SERVER], "passed")})
    assert rows(root)[SERVER] == (REAL, f"`{OWN}`")


def test_peers_that_did_not_run_keep_their_lines_which_say_so(root: Path) -> None:
    (root / PEERS).unlink()
    assert rows(root)[API] == (WIRE, f"`{PEER}`, not run last time")
    (root / "own.json").unlink()  # of the others nothing is kept unless they were skipped
    assert rows(root)[SERVER] == (NOT_RUN, "")


def test_a_test_without_its_mark_shows_nothing(root: Path) -> None:
    mark(root, PEER, "Ollama")
    assert rows(root)[API] == (NOT_RUN, "")  # though the peers' notes are older than the change
    mark(root, OWN, "Ollama")
    note(root, "own.json", {OWN: ([SERVER], "skipped")})
    assert rows(root)[SERVER] == (NOT_RUN, "")


def test_a_mark_of_a_class_counts_for_its_tests_also_those_that_it_inherits(root: Path) -> None:
    file = OWN.partition("::")[0]
    (root / file).write_text(
        f"import pytest\n\n@pytest.mark.verifies({SERVER!r})\nclass TestIt(Contract):\n    pass\n"
    )
    test = f"{file}::TestIt::test_each[a]"
    note(root, "own.json", {test: ([SERVER], "passed")})
    assert rows(root)[SERVER] == (REAL, f"`{test}`")


def test_a_run_notes_what_became_of_marked_tests(tmp_path: Path) -> None:
    probe = tmp_path / "test_probe.py"
    marked = f"@pytest.mark.verifies({SERVER!r})\ndef test_"
    probe.write_text(
        "import pytest\n\n@pytest.fixture\ndef torn():\n    yield\n    assert False\n\n"
        f"{marked}good(): pass\n"
        f"{marked}bad(): assert False\n"
        f"{marked}left(): pytest.skip('no program')\n"
        f"{marked}late(torn): pass\n"
        f"@pytest.mark.xfail\n{marked}known(): assert False\n"
        "def test_unmarked(): pass\n"
    )
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "tests.support.verified",
         "--rootdir", str(tmp_path), "-c", "/dev/null", "-W", "ignore",
         "--verified", str(tmp_path / "notes.json"), str(probe)],
        cwd=REPOSITORY, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    noted = msgspec.json.decode((tmp_path / "notes.json").read_bytes())
    assert {test.rpartition("_")[2]: said["outcome"] for test, said in noted.items()} == {
        "good": "passed", "bad": "failed", "left": "skipped", "late": "failed", "known": "failed",
    }  # fmt: skip
    assert all(said["verifies"] == [SERVER] for said in noted.values())
