"""The table of seeded faults, and which of them a landing tries."""

import ast
import math
import subprocess
import tomllib
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TABLE = "tests/mutations/faults.toml"
COMMITS = 30  # whose changes are tried whole
# So that a landing takes no longer after a change of everything, nor with a longer table:
AT_MOST = 100  # of those
OTHERS = 50  # at most of all others, in turn


@dataclass(frozen=True)
class Fault:
    """A seeded fault: what is wrong with the product, how to make it, and which tests must notice."""

    name: str
    says: str
    file: str
    old: str
    new: str
    tests: list[str]
    needs: str = ""  # a module without which the tests would be skipped


@dataclass(frozen=True)
class History:
    """The present commit, what was changed in the last ones, and the table of faults before them."""

    commit: str
    changed: frozenset[str]
    before: str


def read_faults(text: str) -> list[Fault]:
    """Read a table of faults; raises TypeError where one lacks something, or has too much."""
    return [Fault(**fault) for fault in tomllib.loads(text)["fault"]]


def read_history() -> History:
    """
    Ask git for the last commits; what is not committed yet counts as changed.

    A commit whose table cannot be read is passed over for the one before it.
    """
    commits = _git("rev-list", "--first-parent", f"--max-count={2 * COMMITS}", "HEAD").split()
    older = commits[COMMITS:] or commits[-1:]
    first = next((commit for commit in older if _has_table(commit)), older[-1])
    changed = _git("diff", "--name-only", first).splitlines()
    return History(commits[0], frozenset(changed), _git("show", f"{first}:{TABLE}"))


def _has_table(commit: str) -> bool:
    try:
        return bool(read_faults(_git("show", f"{commit}:{TABLE}")))
    except tomllib.TOMLDecodeError:
        return False


def draw_sample(faults: Sequence[Fault], history: History) -> tuple[list[Fault], str]:
    """
    Return the faults to try, and a sentence about them.

    They are those of which the text, the code, the tests or their fixtures changed in the last commits, in this
    order and at most `AT_MOST`, and of the others one part of at most `OTHERS`, by the commit: every fault has its
    turn, and a landing can be repeated.
    """
    before = {fault.name: fault for fault in read_faults(history.before)}

    def distance(fault: Fault) -> int | None:
        tests = {test.partition("::")[0] for test in fault.tests}
        near = (before.get(fault.name) != fault, {fault.file}, tests, set(files_of(fault)))
        changed = (it if isinstance(it, bool) else bool(history.changed & it) for it in near)
        return next((place for place, is_so in enumerate(changed) if is_so), None)

    order = [
        (place, zlib.crc32((history.commit + fault.name).encode()), fault)
        for fault in faults
        if (place := distance(fault)) is not None
    ]
    touched = [fault for _, _, fault in sorted(order, key=lambda each: each[:2])]
    tried = touched[:AT_MOST]
    others = sorted((fault for fault in faults if fault not in tried), key=_rank)
    parts = max(1, math.ceil(len(others) / OTHERS))
    part = int(history.commit[:8], 16) % parts
    rest = others[part::parts]
    said = (
        f"Trying {len(tried) + len(rest)} of {len(faults)} faults: {len(tried)} of {len(touched)} touched in the "
        f"last {COMMITS} commits, and part {part + 1} of {parts} of the others, by commit {history.commit[:10]}."
    )
    return [*tried, *rest], said


def _rank(fault: Fault) -> int:
    """Return a number by which faults of one file, which are neighbours in the table, come into several parts."""
    return zlib.crc32(fault.name.encode())


def files_of(fault: Fault) -> Iterable[str]:
    """Yield the file that a fault is made in, those of its tests, and what these take their fixtures from."""
    yield fault.file
    for test in fault.tests:
        yield from _with_fixtures(test.partition("::")[0])


@cache
def _with_fixtures(file: str) -> frozenset[str]:
    """Return a file of tests with the `conftest.py` above it, and the modules of `tests` that they import."""
    folders = [folder for folder in Path(file).parents if folder.parts]
    todo = {file, *(str(folder / "conftest.py") for folder in folders)}
    found: set[str] = set()
    while todo:
        path = todo.pop()
        if path not in found and (ROOT / path).is_file():
            found.add(path)
            todo |= set(_imported(path))
    return frozenset(found)


def _imported(file: str) -> Iterable[str]:
    """Yield the files of `tests` that one imports from."""
    for node in ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tests"):
            yield f"{(node.module or '').replace('.', '/')}.py"


def _git(*words: str) -> str:
    return subprocess.run(
        ["git", *words], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
