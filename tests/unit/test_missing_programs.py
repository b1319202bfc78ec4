"""A program that is missing skips a test, unless it was asked for."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
TEST = """
from tests.support.missing_programs import skip_or_fail

def test_it():
    skip_or_fail("no npm")
"""


@pytest.mark.parametrize(
    ("name", "outcome"),
    [("X", "1 skipped"), ("CI", "1 failed"), ("MAHAVISHNU_TEST_ALL", "1 failed")],
)
def test_what_was_asked_for_fails_where_it_cannot_be_had(
    tmp_path: Path, name: str, outcome: str
) -> None:
    (tmp_path / "test_it.py").write_text(TEST)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "tests.conftest", tmp_path / "test_it.py"],
        cwd=ROOT,
        env={"PATH": os.defpath, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path), name: "1"},
        stdout=subprocess.PIPE,
        check=False,
        text=True,
    )
    assert outcome in done.stdout
