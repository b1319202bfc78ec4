"""What the machine says of a running process of the user's: its words, its environment, its family."""

import contextlib
import os
from collections.abc import Collection, Mapping, Sequence

import psutil

from mahavishnu.base.processes import ProcessIdentity, identify


def words_of(process: ProcessIdentity) -> Sequence[str]:
    """Return the words it was started with; none where they cannot be had."""
    with contextlib.suppress(psutil.Error, OSError):
        words = psutil.Process(process.pid).cmdline()
        return words if process.alive else ()
    return ()


def word_after(option: str, words: Sequence[str]) -> str:
    """Return what an option is given, as the next word or behind "="; empty where it is not there."""
    for place, word in enumerate(words):
        if word == option and place + 1 < len(words):
            return words[place + 1]
        if word.startswith(f"{option}="):
            return word.partition("=")[2]
    return ""


def variables_of(process: ProcessIdentity, names: Collection[str]) -> Mapping[str, str]:
    """Return these variables of the environment it was started with; others are not looked at."""
    with contextlib.suppress(psutil.Error, OSError):
        whole = psutil.Process(process.pid).environ()
        return {name: whole[name] for name in names if name in whole} if process.alive else {}
    return {}


def terminal_of(process: ProcessIdentity) -> str | None:
    """Return the path of the terminal that it belongs to."""
    with contextlib.suppress(psutil.Error, OSError):
        terminal = psutil.Process(process.pid).terminal()
        return terminal if process.alive else None
    return None


def is_suspended(process: ProcessIdentity) -> bool:
    """Tell whether it is suspended, as by Ctrl-Z: a signal then counts when it goes on."""
    with contextlib.suppress(psutil.Error, OSError):
        return psutil.Process(process.pid).status() == psutil.STATUS_STOPPED
    return False


def parents_of(process: ProcessIdentity) -> Sequence[ProcessIdentity]:
    """Return the processes that it was started by, the nearest first."""
    with contextlib.suppress(psutil.Error, OSError):
        parents = psutil.Process(process.pid).parents()
        if not process.alive:
            return ()
        return [each for parent in parents if (each := identify(parent.pid)) is not None]
    return ()


def family_of(process: ProcessIdentity) -> Sequence[ProcessIdentity]:
    """Return the processes that it started, with theirs."""
    with contextlib.suppress(psutil.Error, OSError):
        children = psutil.Process(process.pid).children(recursive=True)
        if not process.alive:
            return ()
        return [each for child in children if (each := identify(child.pid)) is not None]
    return ()


def ancestors() -> frozenset[int]:
    """Return the pids of the processes that this one was started by, and its own."""
    found = [os.getpid()]
    with contextlib.suppress(psutil.Error, OSError):
        found += [each.pid for each in psutil.Process().parents()]
    return frozenset(found)
