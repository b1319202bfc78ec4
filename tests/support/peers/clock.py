"""A clock that is set for one process alone, by Debian's libfaketime."""

import sysconfig
from pathlib import Path

from tests.support.peers.debian import fetch


def clock_back() -> dict[str, str]:
    """Return the environment of a process whose clock is two days back; raises `NotFetched`."""
    return {**_library(), "FAKETIME": "-2d"}


def clock_by(file: Path) -> dict[str, str]:
    """Return the environment of a process whose clock is off as a file says at each moment; raises `NotFetched`."""
    return {**_library(), "FAKETIME_TIMESTAMP_FILE": str(file), "FAKETIME_NO_CACHE": "1"}


def _library() -> dict[str, str]:
    folder = f"usr/lib/{sysconfig.get_config_var('MULTIARCH')}/faketime"
    library, _ = fetch("libfaketime", f"{folder}/libfaketimeMT.so.1")
    return {
        "LD_PRELOAD": str(library),
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "NO_FAKE_STAT": "1",
    }
