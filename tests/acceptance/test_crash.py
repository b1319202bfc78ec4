"""A few rounds of the crash suite; `make soak` runs many."""

from collections.abc import Iterator

import pytest

from tests.crash.rounds import HARMS, Rounds
from tests.crash.scenarios import SCENARIOS

pytestmark = pytest.mark.postgres

# Of each a kill, by turns of the command and of the server, and by turns a full disk and two at once.
SEEDS = {name: (10 + place % 2, 12 + place // 2 % 2) for place, name in enumerate(SCENARIOS)}


@pytest.fixture(scope="module")
def rounds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rounds]:
    with Rounds(tmp_path_factory.mktemp("crash")) as made:
        yield made


@pytest.mark.parametrize("name", SCENARIOS)
def test_what_was_acknowledged_survives_a_harm_at_any_step(rounds: Rounds, name: str) -> None:
    """It takes more than 2 s: each round ends a process, some of them PostgreSQL's, or fills a disk."""
    for seed in SEEDS[name]:
        rounds.run(name, seed)
        assert rounds.seen[HARMS[seed % len(HARMS)]] or rounds.seen["not tried"]
