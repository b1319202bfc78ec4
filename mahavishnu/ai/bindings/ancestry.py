"""The words that a client was started with, where a shell may be between it and what it runs."""

import os
import sys
from pathlib import Path

_SHELLS = ("sh", "bash", "dash", "zsh", "ksh", "fish")


def read_words(process: int) -> list[str] | None:
    """Return the words of a process, or of the one above where it is a shell; None where none can be seen."""
    words, above = _look(process)
    if words and Path(words[0]).name.lstrip("-") in _SHELLS:
        words, _ = _look(above)
    return words or None


def _look(process: int) -> tuple[list[str], int]:
    """Return the words of a process, none where it cannot be seen, and the pid of its parent."""
    if process <= 0:
        return [], 0
    if sys.platform != "linux":
        return _look_elsewhere(process)
    place = Path(f"/proc/{process}")
    try:
        content = (place / "cmdline").read_bytes()
        stat = (place / "stat").read_bytes()
    except OSError:
        return [], 0
    words = [os.fsdecode(each) for each in content.split(b"\0")[:-1]]
    return words, int(stat.rpartition(b")")[2].split()[1])


def _look_elsewhere(process: int) -> tuple[list[str], int]:
    import psutil  # noqa: PLC0415 - slow, and only where there is no /proc

    try:
        found = psutil.Process(process)
        return found.cmdline(), found.ppid()
    except psutil.Error:
        return [], 0
