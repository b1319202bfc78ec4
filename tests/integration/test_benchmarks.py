"""What the benchmarks leave behind when they are told to stop: nothing."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
WAITING = """
import time
from benchmarks.world import clean_up_when_told_to_stop, temporary_home
clean_up_when_told_to_stop()
with temporary_home() as home:
    print(home, flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_stopped_benchmark_takes_its_home_along(tmp_path: Path, number: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WAITING],
        cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, env={"TMPDIR": str(tmp_path)},
    )  # fmt: skip
    try:
        assert process.stdout is not None
        home = Path(process.stdout.readline().strip())
        assert home.is_dir() and home.parent == tmp_path
        process.send_signal(number)
        assert process.wait(120) == 128 + number
    finally:
        process.kill()
        process.communicate()
    assert list(tmp_path.iterdir()) == []
