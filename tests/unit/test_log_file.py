"""The daemon's log is bounded, and comes back where it was removed; shown on a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

WRITER = """
import os, sys
from pathlib import Path
from mahavishnu.daemon import log_file
log_file.MAX_BYTES = 1000
path = Path(sys.argv[1])
log = log_file.open_log(path)
os.dup2(log, 1)
os.dup2(log, 2)
for word in sys.argv[2].split(","):
    if word == "remove":
        path.unlink()
    elif word == "renew":
        log_file.renew_log(path)
    else:
        os.write(2, word.encode() + b"-" * (2000 if word.startswith("long") else 10) + b" ")
"""


@pytest.mark.parametrize(
    ("script", "log", "aside"),
    [
        ("one,renew,two", ["one", "two"], []),
        ("long1,renew,two", ["two"], ["long1"]),
        ("one,remove,renew,two", ["two"], []),
        ("long1,renew,long2,renew,three", ["three"], ["long2"]),
    ],
)
def test_a_log_is_renewed_when_it_is_long_or_gone(
    tmp_path: Path, script: str, log: list[str], aside: list[str]
) -> None:
    path = tmp_path / "state" / "daemon.log"
    subprocess.run([sys.executable, "-c", WRITER, path, script], check=True, timeout=30)
    assert [word.rstrip("-") for word in path.read_text().split()] == log
    before = path.with_name("daemon.log.1")
    found = before.read_text().split() if before.exists() else []
    assert [word.rstrip("-") for word in found] == aside
    assert path.stat().st_mode & 0o777 == 0o600
