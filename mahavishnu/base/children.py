"""What a child asks of the system between fork and exec. Standard library only, as all that runners import."""

import ctypes
import os
import signal
import sys
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


def prctl(option: int, value: int, third: int = 0) -> None:
    """Ask Linux to change how this process is treated; raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, third, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def die_with_parent(parent: int, number: signal.Signals) -> None:
    """Have this child signalled when `parent`, a pid, dies (Linux); a change of user takes that back."""
    if sys.platform == "linux":
        prctl(PR_SET_PDEATHSIG, number)
        if os.getppid() != parent:  # it died before it was asked
            os._exit(1)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent dies (Linux only)."""
    if sys.platform == "linux":
        prctl(PR_SET_CHILD_SUBREAPER, 1)


def own_children() -> list[int]:
    """Return the pids of this process's children, zombies too; none where the system does not list them."""
    listed = Path(f"/proc/self/task/{os.getpid()}/children")
    return [*map(int, listed.read_text(encoding="ascii").split())] if listed.exists() else []
