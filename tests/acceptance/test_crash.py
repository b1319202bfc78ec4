"""A few rounds of the crash suite; `make soak` runs many."""

import pytest

from tests.crash.rounds import Rounds
from tests.crash.scenarios import SCENARIOS
from tests.support.command import Command

pytestmark = pytest.mark.postgres

SEEDS = range(4)


@pytest.mark.parametrize("name", SCENARIOS)
def test_what_was_acknowledged_survives_a_kill_at_any_step(settled: Command, name: str) -> None:
    """It takes more than 2 s: each round ends a process, some of them PostgreSQL's."""
    rounds = Rounds(settled)
    for seed in SEEDS:
        rounds.run(name, seed)
    assert sum(rounds.seen.values()) == 2 * len(SEEDS)
