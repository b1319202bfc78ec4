"""
How long tests take, as recorded in `tests/durations.json`: by these the longest begin first.

A fresh clone has no other record. `python scripts/run_tests.py --all --record` writes it again. Budgets are
shares of the whole, so that they hold for a record of any machine, a busy one too.
"""

import heapq
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from tests.support.outcomes import Ended, read_outcomes

RECORD = Path(__file__).resolve().parent.parent / "tests/durations.json"
UNKNOWN_S = 10.0  # what a file without a record is taken to need
LONG_S = 10.0  # tests from here on are recorded by name
# Of all tests on two quiet cores; the seconds of a budget are those of such a run.
WHOLE_S = 3500.0
TEST_S = 20.0
FILE_S = 80.0  # of our own: 40 of a processor, and as much waiting
PEER_S = 120.0  # of a file that starts real programs


class Durations(msgspec.Struct, frozen=True):
    """Seconds by file of tests, and by test where one takes `LONG_S` or more."""

    files: dict[str, float]
    long_tests: dict[str, float]

    def of(self, paths: Iterable[str]) -> float:
        """Return the seconds of all files that these paths name; a folder names those below it."""
        return sum(map(self._of_path, paths))

    def _of_path(self, path: str) -> float:
        if path.endswith(".py"):
            return self.files.get(path, UNKNOWN_S)
        return sum(taken for file, taken in self.files.items() if file.startswith(f"{path}/"))

    def over_budget(self) -> set[str]:
        """Return the files and tests that take more than their share of the whole."""
        scale = WHOLE_S / sum(self.files.values())
        files = {
            file
            for file, taken in self.files.items()
            if taken * scale > (PEER_S if file.startswith("tests/peers/") else FILE_S)
        }
        return files | {test for test, taken in self.long_tests.items() if taken * scale > TEST_S}

    def share_out(self, files: Sequence[str], shares: int) -> list[tuple[str, ...]]:
        """Return the files in so many shares that take about as long as each other."""
        loads = [(0.0, number) for number in range(shares)]
        held: list[list[str]] = [[] for _ in loads]
        for file in sorted(files, key=lambda file: -self.of([file])):
            load, number = heapq.heappop(loads)
            held[number].append(file)
            heapq.heappush(loads, (load + self.of([file]), number))
        return [tuple(sorted(share)) for share in held if share]


def read_durations() -> Durations:
    """Read the record; raises OSError or msgspec.DecodeError."""
    return msgspec.json.decode(RECORD.read_bytes(), type=Durations)


def record_durations(written: Iterable[Path]) -> None:
    """Write the record anew, by what processes wrote of their tests."""
    files: defaultdict[str, float] = defaultdict(float)
    long_tests = {}
    first = (file for file in written if "-again-" not in file.name)
    for line in (line for file in first for line in read_outcomes(file)):
        if isinstance(line, Ended):
            files[line.test.partition("::")[0]] += line.seconds
            if line.seconds >= LONG_S:
                long_tests[line.test] = round(line.seconds, 1)
    rounded = {file: round(taken, 1) for file, taken in sorted(files.items())}
    record = Durations(rounded, dict(sorted(long_tests.items())))
    RECORD.write_bytes(msgspec.json.format(msgspec.json.encode(record)) + b"\n")
