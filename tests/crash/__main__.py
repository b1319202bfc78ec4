"""Many rounds of the crash suite, each replayed by its seed: `python -m tests.crash store --first 17 --seeds 1`."""

import argparse
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from tests.crash.rounds import HARMS, Rounds
from tests.crash.scenarios import SCENARIOS
from tests.support.peers.clock import clock_back
from tests.support.peers.debian import NotFetched
from tests.support.scratch import find_room

COLUMNS = (*HARMS, "kills", "whole", "part", "nothing", "not tried")


def main() -> int:
    """Run the rounds and print what was seen; the exit code is 1 where anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=", ".join(SCENARIOS))
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seeds", type=int, default=40, help="how many of each scenario")
    asked = parser.parse_args()
    lost: list[str] = []
    began = time.monotonic()
    clock = _find_clock()
    print(f"| scenario | {' | '.join(COLUMNS)} | lost |")
    print(f"|---|{'---:|' * (len(COLUMNS) + 1)}")
    with tempfile.TemporaryDirectory(prefix="mahavishnu-crash-", dir=find_room()) as scratch:
        for name in asked.scenarios or SCENARIOS:
            rounds, before = Rounds(Path(scratch), clock), len(lost)
            with rounds:
                for seed in range(asked.first, asked.first + asked.seeds):
                    try:
                        rounds.run(name, seed)
                    except AssertionError as error:
                        lost.append(f"{name} {seed}: {error}")
            cells = " | ".join(str(rounds.seen[column]) for column in COLUMNS)
            print(f"| {name} | {cells} | {len(lost) - before} |", flush=True)
    print(f"\n{time.monotonic() - began:.0f} s")
    print("\n".join(lost))
    return 1 if lost else 0


def _find_clock() -> Mapping[str, str]:
    """Return what puts a clock back; nothing, with a word about it, where that cannot be had."""
    try:
        return clock_back()
    except NotFetched as error:
        print(f"Without another clock: {error}", file=sys.stderr)
        return {}


if __name__ == "__main__":
    sys.exit(main())
