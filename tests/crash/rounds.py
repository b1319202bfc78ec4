"""
A round: one command is killed, or its database under it, at a step that the seed draws.

Afterwards every acknowledged write is there once and nothing by halves; the command, given again, brings the rest.
"""

import json
import random
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.crash.scenarios import HALVES, SCENARIOS, Scenario
from tests.support.command import Answer, Command
from tests.support.daemon import postmaster
from tests.support.fork_server import Steps

SERVER_SHARE = 0.25  # of the rounds, in which the database's server dies instead


@dataclass
class Rounds:
    """Rounds in one home, whose database is there already."""

    command: Command
    seen: Counter[str] = field(default_factory=Counter)
    _steps: dict[str, int] = field(default_factory=dict)

    def run(self, name: str, seed: int) -> None:
        """Run a round; an AssertionError names it and says what was lost."""
        scenario, key = SCENARIOS[name], f"{name}-{seed}"
        draw = random.Random(key)
        kill_at = draw.randint(1, self._count_steps(name, scenario))
        scenario.prepare(self.command, key)
        victim = self._server() if draw.random() < SERVER_SHARE else 0
        answer = self.command.stepwise(
            Steps(kill_at=kill_at, victim=victim), *scenario.words(self.command, key)
        )
        said = f"{key}: {'server' if victim else 'command'} killed at step {kill_at}, {answer}"
        there = scenario.count(self.command, key)
        if _is_acknowledged(answer):
            assert there == scenario.whole, f"{said}: acknowledged, and {there} there"
        assert there in (0, scenario.whole) or scenario.parts, f"{said}: {there} there"
        self._check(said)
        if there < scenario.whole:
            again = self.command(*scenario.words(self.command, key))
            assert again.status == 0, f"{said}: {again}"
            assert scenario.count(self.command, key) == scenario.whole, f"{said}: given again"
            self._check(said)
        self.seen["whole" if there == scenario.whole else "part" if there else "nothing"] += 1
        self.seen["server" if victim else "command"] += 1

    def _check(self, said: str) -> None:
        halves = self.command.sql(HALVES)
        assert halves == "0", f"{said}: {halves} by halves"
        assert self.command("db", "current", "--json").status == 0, said

    def _count_steps(self, name: str, scenario: Scenario) -> int:
        """Return how many steps the command takes that nobody kills."""
        if name not in self._steps:
            key, file = f"{name}-whole", self.command.home / "steps"
            scenario.prepare(self.command, key)
            words = scenario.words(self.command, key)
            answer = self.command.stepwise(Steps(count_into=str(file)), *words)
            assert answer.status == 0, answer
            assert scenario.count(self.command, key) == scenario.whole
            self._steps[name] = int(Path(file).read_text())
        return self._steps[name]

    def _server(self) -> int:
        """Return the pid of the database's server, which this starts where it has gone idle."""
        self.command.sql("SELECT 1")
        return postmaster(self.command).pid


def _is_acknowledged(answer: Answer) -> bool:
    """Tell whether a command said that it has done it."""
    try:
        return "error" not in json.loads(answer.out)
    except ValueError:
        return False
