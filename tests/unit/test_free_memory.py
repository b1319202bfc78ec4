"""The daemon gives memory back that is free."""

import psutil
import pytest

from mahavishnu.daemon.free_memory import find_trim


def test_what_lies_between_small_pieces_is_given_back() -> None:
    trim = find_trim()
    if trim is None:
        pytest.skip("The C library has no malloc_trim.")
    pieces = [(bytes(bytearray(65_536)), bytes(bytearray(20_000))) for _ in range(800)]
    kept = [small for _, small in pieces]
    del pieces
    before = psutil.Process().memory_info().rss
    trim(0)
    assert before - psutil.Process().memory_info().rss > 30_000_000
    assert len(kept) == 800
