"""Commands whose clock is two days back, beside a database with the right one."""

from pathlib import Path

import pytest

from tests.crash.rounds import HARMS, Rounds
from tests.crash.scenarios import SCENARIOS
from tests.support.missing_programs import skip_or_fail
from tests.support.peers.clock import clock_back
from tests.support.peers.debian import NotFetched

pytestmark = [pytest.mark.peer, pytest.mark.postgres]


def test_a_clock_that_is_set_back_loses_nothing(tmp_path: Path) -> None:
    """It takes more than 2 s: each round starts a program anew, which the library has to be loaded into."""
    try:
        clock = clock_back()
    except NotFetched as error:
        skip_or_fail(f"libfaketime: {error}")
    with Rounds(tmp_path, clock) as rounds:
        for name in SCENARIOS:
            rounds.run(name, HARMS.index("clock"))
    assert rounds.seen["clock"] == len(SCENARIOS)
