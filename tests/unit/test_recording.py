"""A block of work that is recorded, where it cannot be."""

from typing import Any, cast

import pytest

from mahavishnu.base.errors import Unavailable
from mahavishnu.memory.recording import record_run
from mahavishnu.memory.records import NewExecution, Records


class AwayRecords:
    """Keeps nothing: the database is away."""

    async def record_execution(self, new: NewExecution) -> None:
        raise Unavailable("The database is away.")


async def test_a_block_runs_though_the_database_is_away() -> None:
    away: Any = cast("Records", AwayRecords())
    said: list[Unavailable] = []
    async with record_run(away, "report", on_unavailable=said.append) as run:
        run.result = {"rows": 3}
    assert [error.message for error in said] == ["The database is away."] * 2
    with pytest.raises(Unavailable):
        async with record_run(away, "report"):
            pytest.fail("it must not run")
