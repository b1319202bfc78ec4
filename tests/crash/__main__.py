"""Many rounds of the crash suite, each replayed by its seed: `python -m tests.crash store --first 17 --seeds 1`."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.crash.rounds import Rounds
from tests.crash.scenarios import SCENARIOS
from tests.support.command import Command
from tests.support.daemon import layout
from tests.support.prepared import place_cluster
from tests.support.scratch import find_room

SEEDS_A_HOME = 4  # a database's server that ends five times within a minute is not started again


def main() -> int:
    """Run the rounds and print what was seen; the exit code is 1 where anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=", ".join(SCENARIOS))
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seeds", type=int, default=40, help="how many of each scenario")
    asked = parser.parse_args()
    lost = []
    print(
        "| scenario | rounds | the command killed | its server killed | whole, part, nothing there | lost |"
    )
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="mahavishnu-crash-", dir=find_room()) as scratch:
        began = time.monotonic()
        for name in asked.scenarios or SCENARIOS:
            rounds = Rounds(_make_home(Path(scratch), f"{name}-0"))
            for number in range(asked.seeds):
                if number and number % SEEDS_A_HOME == 0:
                    rounds.command = _make_home(Path(scratch), f"{name}-{number}")
                try:
                    rounds.run(name, asked.first + number)
                except AssertionError as error:
                    lost.append(str(error))
            seen = rounds.seen
            there = f"{seen['whole']}, {seen['part']}, {seen['nothing']}"
            failed = asked.seeds - seen["command"] - seen["server"]
            print(
                f"| {name} | {asked.seeds} | {seen['command']} | {seen['server']} | {there} | {failed} |",
                flush=True,
            )
        print(f"\n{time.monotonic() - began:.0f} s")
    print("\n".join(lost))
    return 1 if lost else 0


def _make_home(scratch: Path, name: str) -> Command:
    home = scratch / name
    home.mkdir()
    command = Command(home, {"MAHAVISHNU_EMBEDDING_PROVIDER": "none"})
    place_cluster(layout(command).folder, scratch=scratch)
    return command


if __name__ == "__main__":
    sys.exit(main())
