"""Where programs that tests need are kept, and what a test does where one cannot be had."""

import os
from pathlib import Path
from typing import NoReturn

import pytest

# What is asked for by name has to run: `make test-peers` says so. Read before tests lose such variables.
DEMANDED = bool(os.environ.get("CI") or os.environ.get("MAHAVISHNU_TEST_ALL"))

PEERS_CACHE = "MAHAVISHNU_TEST_PEERS"  # the variable that says where another tree has them already
PEERS = Path(os.environ.get(PEERS_CACHE, Path(__file__).parents[2] / ".cache/peers"))


def skip_or_fail(problem: str) -> NoReturn:
    """Skip the test, or the module that says so; fail it in CI, and where all was demanded."""
    if DEMANDED:
        pytest.fail(problem)
    pytest.skip(problem, allow_module_level=True)
