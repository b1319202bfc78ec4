"""A daemon's supervision and jobs, while the clock jumps forward and back."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.missing_programs import skip_or_fail
from tests.support.peers.clock import clock_by
from tests.support.peers.debian import NotFetched

pytestmark = pytest.mark.peer


def test_a_clock_that_jumps_restarts_nothing_and_makes_one_run(tmp_path: Path) -> None:
    """It takes more than 2 s: a unit has to crash until it is given up, after running for a while each time."""
    clock, folder = tmp_path / "clock", tmp_path / "units"
    folder.mkdir()
    clock.write_text("+0")
    try:
        faked = clock_by(clock)
    except NotFetched as error:
        skip_or_fail(f"libfaketime: {error}")
    words = [sys.executable, "-m", "tests.support.units_clock", str(folder), str(clock)]
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **faked}
    done = subprocess.run(
        words, env=environ, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2], check=True
    )
    told = json.loads(done.stdout)
    assert told["runs"] == [0, 1, 0] and told["same"]
