"""A clock that is two days back for one process alone, by Debian's libfaketime."""

import sysconfig

from tests.peers.debian import fetch


def clock_back() -> dict[str, str]:
    """Return the environment of a process with that clock; raises `NotFetched`."""
    folder = f"usr/lib/{sysconfig.get_config_var('MULTIARCH')}/faketime"
    library, _ = fetch("libfaketime", f"{folder}/libfaketimeMT.so.1")
    return {
        "LD_PRELOAD": str(library),
        "FAKETIME": "-2d",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "NO_FAKE_STAT": "1",
    }
