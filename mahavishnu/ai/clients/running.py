"""What the machine says of a running process of the user's: its words, its environment, its family."""

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from mahavishnu.base.processes import ProcessIdentity, identify

if TYPE_CHECKING:
    from psutil import Process


def _ask[T](process: ProcessIdentity, look: Callable[["Process"], T], otherwise: T) -> T:
    """Return what a look at the process tells; `otherwise` where that cannot be had, or it is another one."""
    import psutil  # noqa: PLC0415 - slow

    try:
        found = look(psutil.Process(process.pid))
    except (psutil.Error, OSError):
        return otherwise
    return found if process.alive else otherwise


def words_of(process: ProcessIdentity) -> Sequence[str]:
    """Return the words it was started with; none where they cannot be had."""
    return _ask(process, lambda each: each.cmdline(), [])


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
    whole: Mapping[str, str] = _ask(process, lambda each: each.environ(), {})
    return {name: whole[name] for name in names if name in whole}


def terminal_of(process: ProcessIdentity) -> str | None:
    """Return the path of the terminal that it belongs to."""
    return _ask(process, lambda each: each.terminal(), None)


def is_suspended(process: ProcessIdentity) -> bool:
    """Tell whether it is suspended, as by Ctrl-Z: a signal then counts when it goes on."""
    return _ask(process, lambda each: each.status() == "stopped", False)


def parents_of(process: ProcessIdentity) -> Sequence[ProcessIdentity]:
    """Return the processes that it was started by, the nearest first."""
    return _ask(process, lambda each: _identified(each.parents()), [])


def family_of(process: ProcessIdentity) -> Sequence[ProcessIdentity]:
    """Return the processes that it started, with theirs."""
    return _ask(process, lambda each: _identified(each.children(recursive=True)), [])


def ancestors() -> frozenset[int]:
    """Return the pids of the processes that this one was started by, and its own."""
    own = identify(os.getpid())
    return frozenset([os.getpid(), *(each.pid for each in (parents_of(own) if own else ()))])


def _identified(processes: Iterable["Process"]) -> list[ProcessIdentity]:
    return [found for each in processes if (found := identify(each.pid)) is not None]
