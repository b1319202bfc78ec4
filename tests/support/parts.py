"""
Which part of a long loop a run goes through: a quarter, another one with each commit.

All of it where the code that it proves changed in the last commits, where seeded faults are tried, and in
`make test-deep`.
"""

import os
import subprocess
from dataclasses import dataclass
from functools import cache

from scripts.faults import History, read_history

WHOLE = "MAHAVISHNU_TEST_WHOLE"
PARTS = 4


@dataclass(frozen=True)
class Part:
    """One of `of` parts of a loop; `number` counts from 0."""

    number: int = 0
    of: int = 1

    def steps(self, end: int) -> range:
        """Return the steps of this part, of those from 1 up to `end`, without it."""
        return range(1 + self.number, end, self.of)

    def share(self, count: int) -> int:
        """Return how many of `count` belong to a part."""
        return count // self.of


def often(times: int, *code: str, few: int) -> range:
    """Return the rounds of a loop that tells one thing many times: `few` where `draw_part` gives a part, else all."""
    return range(few if draw_part(*code).of > 1 else times)


def draw_part(*code: str) -> Part:
    """Return the part for a loop that proves the code below these paths, and print it."""
    if os.environ.get(WHOLE):
        return Part()
    history = find_history()
    if history is None:
        return Part()
    part = choose_part(history, code)
    print(f"Part {part.number + 1} of {part.of}, by commit {history.commit[:10]}")
    return part


def choose_part(history: History, code: tuple[str, ...]) -> Part:
    """Return all where a file below these paths changed, and else a part by the commit."""
    if any(path.startswith(code) for path in history.changed):
        return Part()
    return Part(int(history.commit[:8], 16) % PARTS, PARTS)


def draw_seed() -> int:
    """Return the seed of what is drawn at random: by the commit, and 0 without a repository."""
    history = find_history()
    return int(history.commit[:8], 16) if history else 0


@cache
def find_history() -> History | None:
    """Return the last commits; None where there is no repository, as in an unpacked source."""
    try:
        return read_history()
    except (OSError, subprocess.CalledProcessError):
        return None
