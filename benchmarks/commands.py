"""Commands as a user's shell starts them: run to their end, timed, their failure an error here."""

import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np

from benchmarks.report import Goal, Section

RUNS = 9
PRODUCT = (sys.executable, "-m", "mahavishnu")
BARE = (sys.executable, "-c", "pass")


@dataclass(frozen=True)
class Command:
    """One command, run often; `{}` in an argument becomes a number that was never used."""

    name: str
    arguments: tuple[str, ...]
    environ: dict[str, str]
    goals: tuple[Goal, ...] = ()


@dataclass(frozen=True)
class Ran:
    """A command that ended well: the seconds it took, and all that it printed."""

    seconds: float
    printed: bytes


def run(arguments: Sequence[str], environ: dict[str, str]) -> Ran:
    """Run a command to its end; raises RuntimeError where it fails."""
    started = time.perf_counter()
    done = subprocess.run(
        arguments, env=environ, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    seconds = time.perf_counter() - started
    if done.returncode:
        raise RuntimeError(f"{arguments}: {done.returncode}\n{done.stderr.decode()}")
    return Ran(seconds, done.stdout + done.stderr)


def run_in_turns(commands: Sequence[Command]) -> list[list[Ran]]:
    """Return the runs of each command, `RUNS` of each, one of every command after the other."""
    numbers = count()
    runs: list[list[Ran]] = [[] for _ in commands]
    for _ in range(RUNS):
        for place, command in enumerate(commands):
            arguments = [part.replace("{}", str(next(numbers))) for part in command.arguments]
            runs[place].append(run(arguments, command.environ))
    return runs


def add_times(section: Section, commands: Sequence[Command], runs: Sequence[Sequence[Ran]]) -> None:
    """Add a row for each command, beside the first one of them, which is the bare interpreter."""
    taken = [[ran.seconds * 1000 for ran in each] for each in runs]
    bare = float(np.median(taken[0]))
    for command, each in zip(commands, taken, strict=True):
        median = float(np.median(each))
        section.add(
            command.name, *command.goals, median__ms=median, min__ms=min(each),
            times__bare=median / bare, more__ms=median - bare,
        )  # fmt: skip
