"""What a child asks of the system between fork and exec. Standard library only, as all that runners import."""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


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
