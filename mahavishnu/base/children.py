"""What a child asks of the system between fork and exec. Standard library only, as all that runners import."""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence
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


def bound_to_this_process(command: Sequence[str | Path]) -> list[str]:
    """
    Return a command that is killed when the calling thread ends, and so when this process is killed (Linux).

    Another Python asks for that before it becomes the program: where threads run, nothing may happen between fork
    and exec.
    """
    words = [str(word) for word in command]
    if sys.platform != "linux":
        return words
    return [sys.executable, "-IS", __file__, str(os.getpid()), *words]


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent dies (Linux only)."""
    if sys.platform == "linux":
        prctl(PR_SET_CHILD_SUBREAPER, 1)


def own_children() -> list[int]:
    """Return the pids of this process's children, zombies too; none where the system does not list them."""
    listed = Path(f"/proc/self/task/{os.getpid()}/children")
    return [*map(int, listed.read_text(encoding="ascii").split())] if listed.exists() else []


if __name__ == "__main__":
    die_with_parent(int(sys.argv[1]), signal.SIGKILL)
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606 - that is its purpose
