"""
A round: something happens to a command at a step that the seed chooses.

Afterwards every acknowledged write is there once and none in part; until then `status` shows how many writes wait, and
`doctor` that the disk is full. The command, given again, does the rest.
"""

import contextlib
import json
import random
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from tests.crash.preparation import end_server
from tests.crash.scenarios import HALVES, SCENARIOS, Scenario
from tests.support.command import ROOT, Answer, Command
from tests.support.daemon import layout, postmaster, wait_until
from tests.support.fork_server import Steps
from tests.support.prepared import place_cluster
from tests.support.small_disk import small_disk

# A seed takes the next one in turn: the command is killed; the database's server is killed; the disk is full from this
# step on; two commands run at once, and in half of the rounds one of them is killed; the clock is two days back.
HARMS = ("command", "server", "full", "two", "clock")
ENVIRONMENT = {"MAHAVISHNU_EMBEDDING_PROVIDER": "none", "MAHAVISHNU_PG_IDLE_TIMEOUT": "50"}
DISK_MB = 224
MOST_ENDS = 4  # a database's server that ends five times within a minute is not started again
ENDS = {"server": 1, "full": 2}


@dataclass
class Rounds:
    """
    Rounds in one home after the other below a folder; each home has its database already.

    `clock` is the environment of a process whose clock is two days back; without it that harm is left out.
    """

    scratch: Path
    clock: Mapping[str, str] = field(default_factory=dict)
    seen: Counter[str] = field(default_factory=Counter)
    _ends: int = MOST_ENDS + 1
    _steps: dict[str, int] = field(default_factory=dict)
    _home: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()

    def leave(self) -> None:
        """End the server of this home; the next round has a new one."""
        self._home.close()
        self._ends = MOST_ENDS + 1

    def run(self, name: str, seed: int) -> None:
        """Run a round; an AssertionError names it and says what was lost."""
        harm = HARMS[seed % len(HARMS)]
        if (harm == "full" and not ROOT) or (harm == "clock" and not self.clock):
            self.seen["not tried"] += 1
            return
        self._settle_in(ENDS.get(harm, 0))
        try:
            self._run(name, seed, harm)
        except AssertionError:
            self.leave()
            raise
        self.seen[harm] += 1

    def _run(self, name: str, seed: int, harm: str) -> None:
        scenario, key = SCENARIOS[name], f"{name.replace(' ', '-')}-{seed}"
        draw = random.Random(key)
        step = 0 if harm == "clock" else draw.randint(1, self._count_steps(name, scenario))
        scenario.prepare(self.command, key)
        answers, killed = self._harm(scenario, key, harm, step, twice=draw.random() < 0.5)
        said = f"{key}: {harm} at step {step}, {answers}"
        self._check_answers(answers, said)
        if (
            harm in ("two", "clock") and not killed
        ):  # of two restores each may find the other one connected
            assert any(map(_is_acknowledged, answers)) or name == "backup restore", said
        self._check_status(said)
        if not scenario.spooled:
            self._drain(said)
        there = scenario.count(self.command, key)
        if any(map(_is_acknowledged, answers)):
            assert there == scenario.whole, f"{said}: acknowledged, and {there} there"
        assert there in (0, scenario.whole) or scenario.parts, f"{said}: {there} there"
        self._check_database(there == scenario.whole, said)
        if there < scenario.whole or self._count_waiting():
            if there < scenario.whole:
                self._give_again(scenario, key, said)
            self._drain(said)
            assert scenario.count(self.command, key) == scenario.whole, f"{said}: in the end"
            self._check_database(True, said)
        self.seen["whole" if there == scenario.whole else "part" if there else "nothing"] += 1
        self.seen["kills"] += killed

    def _harm(
        self, scenario: Scenario, key: str, harm: str, step: int, *, twice: bool
    ) -> tuple[list[Answer], bool]:
        """Run the command and do the harm; returns the answers, and whether a process was killed."""
        words, environment = scenario.words(self.command, key), scenario.environment
        if harm == "clock":
            return [self.command(*words, **environment, **self.clock)], False
        ballast = str(self._ballast) if harm == "full" else ""
        victim = self._server() if harm == "server" and not scenario.away else 0
        steps = Steps(step, victim, ballast) if harm != "two" or twice else Steps()
        with ThreadPoolExecutor(2) as pool:
            given = [pool.submit(self.command.stepwise, steps, *words, **environment)]
            if harm == "two":
                given.append(pool.submit(self.command, *words, **environment))
            answers = [each.result() for each in given]
        return answers, bool(victim) or any(each.status < 0 for each in answers)

    def _check_answers(self, answers: Sequence[Answer], said: str) -> None:
        """Assert that each refusal has a code of its own."""
        for each in answers:
            if each.status > 0:
                assert each.error["code"] not in ("internal", "database.error"), said

    def _check_status(self, said: str) -> None:
        """Assert that `status` and `doctor` show what is so, and make room where the disk is full."""
        told = self.command("status", "--json").json["spooled"]
        assert told == self._count_waiting(), f"{said}: {told} wait"
        if self._ballast.exists():
            answer = self.command("doctor", "--no-database", "--json")
            findings = json.loads(answer.out)["findings"]
            [disk] = [each["status"] for each in findings if each["name"] == "disk"]
            assert (disk, answer.status) == ("error", 1), f"{said}: {findings}"
            self._ballast.unlink()

    def _check_database(self, whole: bool, said: str) -> None:
        """Assert that the database answers, and that with the newest schema nothing is there in part."""
        current = self.command("db", "current", "--json").json["current"]
        assert current or not whole, said
        if current:
            halves = self.command.sql(HALVES)
            assert halves == "0", f"{said}: {halves} in part"

    def _give_again(self, scenario: Scenario, key: str, said: str) -> None:
        """Run the command again, until the server has noticed that the first one was killed."""
        answers: list[Answer] = []

        def give() -> bool:
            words = scenario.words(self.command, key)
            answers.append(self.command(*words, **scenario.environment))
            conflict = answers[-1].status and '"backup.' in answers[-1].err
            assert answers[-1].status == 0 or conflict, f"{said}: {answers[-1]}"
            return answers[-1].status == 0

        wait_until(give)

    def _drain(self, said: str) -> None:
        """Store what waits in the spool; asserts that it is empty then."""
        if self._count_waiting():
            answer = self.command("spool", "drain", "--json")
            assert answer.status == 0, f"{said}: {answer}"
            assert self._count_waiting() == 0, said

    def _count_waiting(self) -> int:
        """Return how many writes the spool's file holds, without the product's help."""
        path = self.command.root / "data/spool.sqlite3"
        if not path.exists():
            return 0
        with contextlib.closing(sqlite3.connect(path)) as connection:
            if not connection.execute("PRAGMA user_version").fetchone()[0]:
                return 0
            return int(connection.execute("SELECT count(*) FROM entries").fetchone()[0])

    def _count_steps(self, name: str, scenario: Scenario) -> int:
        """Return how many steps the command takes when nothing happens to it."""
        if name not in self._steps:
            key, file = f"{name.replace(' ', '-')}-whole", self.command.home / "steps"
            self.command.sql("SELECT 1")  # the server runs, as in most of the rounds
            scenario.prepare(self.command, key)
            words, environment = scenario.words(self.command, key), scenario.environment
            answer = self.command.stepwise(Steps(count_into=str(file)), *words, **environment)
            assert answer.status == 0, answer
            self._check_status(key)
            assert self._count_waiting() == scenario.away
            assert scenario.count(self.command, key) == scenario.whole
            self._drain(key)
            self._steps[name] = int(file.read_text())
        return self._steps[name]

    def _server(self) -> int:
        """Return the pid of the database's server, which this starts where it has gone idle."""
        self.command.sql("SELECT 1")
        return postmaster(self.command).pid

    def _settle_in(self, ends: int) -> None:
        """Take a new home where the server of this one may not end so many times more."""
        self._ends += ends
        if self._ends <= MOST_ENDS:
            return
        self._home.close()
        self._ends = ends
        home = Path(tempfile.mkdtemp(dir=self.scratch))
        self.command = Command(home, ENVIRONMENT)
        if ROOT:
            self._home.enter_context(small_disk(self.command.root, DISK_MB))
        place_cluster(layout(self.command).folder, scratch=self.scratch)
        self._home.callback(end_server, self.command)

    @property
    def _ballast(self) -> Path:
        return self.command.root / "ballast"


def _is_acknowledged(answer: Answer) -> bool:
    """Tell whether a command reports that it has done its work; a drain that left it to another one has not."""
    try:
        body = json.loads(answer.out)
    except ValueError:
        return False
    return "error" not in body and not body.get("busy")
