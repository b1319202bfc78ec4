"""
Terminals that can be told to start a program in the very place where another one ended: tmux.

A pane is believed only where tmux itself says that it has the terminal of the process.
"""

import shlex
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mahavishnu.ai.clients.places import search_path
from mahavishnu.ai.clients.running import parents_of, terminal_of, variables_of, words_of
from mahavishnu.base.processes import ProcessIdentity

_SHELLS = frozenset(
    {"ash", "bash", "dash", "fish", "ksh", "mksh", "nu", "pwsh", "sh", "tcsh", "xonsh", "zsh"}
)
_ANSWER_S = 5.0
_PAUSE_S = 0.05
_SEEN = "#{pane_tty}\t#{pane_pid}\t#{pane_dead}\t#{pane_current_command}\t#{pane_current_path}\t#{remain-on-exit}"


@dataclass(frozen=True)
class _Seen:
    """What tmux says of a pane."""

    terminal: str
    pid: int
    dead: bool
    command: str
    folder: str
    remains: str


@dataclass(frozen=True)
class Pane:
    """
    A pane of tmux that a session runs in, by the server's socket and the pane's number.

    With `owned` the session itself is what the pane was opened for: tmux would close it with the session,
    unless it `remains` by its user's own choice.
    """

    program: str
    socket: str
    number: str
    owned: bool
    remains: bool = False

    def hold(self) -> None:
        """Keep the pane open when its program ends."""
        if self.owned and not self.remains:
            self._ask("set-option", "-p", "-t", self.number, "remain-on-exit", "on")

    def release(self) -> None:
        """Let the pane close again as it did."""
        if self.owned and not self.remains:
            self._ask("set-option", "-p", "-u", "-t", self.number, "remain-on-exit")

    def start(self, words: Sequence[str], folder: str, *, timeout_s: float) -> bool:
        """Start a program there once the last one is gone; False where the pane is not free for it."""
        if not _until(self._is_free, timeout_s):
            return False
        if self.owned:
            line = shlex.join(words)
            done = self._ask("respawn-pane", "-t", self.number, "-c", folder, line)
            return done is not None
        seen = self._look()
        if seen is None:
            return False
        line = shlex.join(words)
        if Path(seen.folder) != Path(folder):
            line = f"cd {shlex.quote(folder)} && {line}"
        typed = self._ask("send-keys", "-t", self.number, "-l", line)
        return typed is not None and self._ask("send-keys", "-t", self.number, "Enter") is not None

    def _is_free(self) -> bool:
        seen = self._look()
        if seen is None:
            return False
        return seen.dead if self.owned else Path(seen.command.lstrip("-")).name in _SHELLS

    def _look(self) -> _Seen | None:
        said = self._ask("display-message", "-p", "-t", self.number, _SEEN)
        parts = (said or "").rstrip("\n").split("\t")
        if len(parts) != 6 or not parts[1].isdecimal():
            return None
        return _Seen(parts[0], int(parts[1]), parts[2] == "1", parts[3], parts[4], parts[5])

    def _ask(self, *words: str) -> str | None:
        return _ask(self.program, self.socket, *words)


def find_pane(process: ProcessIdentity, environ: Mapping[str, str]) -> Pane | None:
    """Return the pane that a session runs in; None where it runs in no tmux, or that cannot be made sure of."""
    said = variables_of(process, ("TMUX", "TMUX_PANE"))
    program = shutil.which("tmux", path=search_path(environ))
    terminal = terminal_of(process)
    if not program or not terminal or len(said) != 2:
        return None
    pane = Pane(
        program, said["TMUX"].rpartition(",")[0].rpartition(",")[0], said["TMUX_PANE"], False
    )
    seen = pane._look()
    if seen is None or seen.dead or seen.terminal != terminal:
        return None
    owned = is_opened_for(process, seen.pid)
    if owned is None:
        return None
    return Pane(pane.program, pane.socket, pane.number, owned, remains=seen.remains == "on")


def is_opened_for(process: ProcessIdentity, opened: int) -> bool | None:
    """
    Tell whether a pane was opened for the session, or for a shell that it was called from.

    None where something else stands above it that goes on when it ends, and would be typed into or
    replaced: a script, an editor, `sh -c 'claude; ...'`.
    """
    own = _program_of(process)
    for each in (process, *parents_of(process)):
        words = words_of(each)
        if each.pid != process.pid and _program_of(each) != own:
            return False if _waits_for_commands(words) and _leads_to(each, opened) else None
        if each.pid == opened:
            return True
    return None


def _program_of(process: ProcessIdentity) -> str:
    words = words_of(process)
    return Path(words[0]).name if words else ""


def _leads_to(process: ProcessIdentity, opened: int) -> bool:
    return opened in (process.pid, *(each.pid for each in parents_of(process)))


def _waits_for_commands(words: Sequence[str]) -> bool:
    """Tell whether these are a shell's that somebody types into, not one that runs a script or a line."""
    if not words or Path(words[0].lstrip("-")).name not in _SHELLS:
        return False
    options = [word for word in words[1:] if word.startswith("-")]
    runs_line = any(not each.startswith("--") and "c" in each for each in options)
    return not runs_line and (words[1:] == options or "-i" in options)


def _ask(program: str, socket: str, *words: str) -> str | None:
    """Return what tmux answers; None where it does not, or refuses."""
    try:
        done = subprocess.run(
            [program, "-u", "-S", socket, *words], stdin=subprocess.DEVNULL, capture_output=True,
            text=True, timeout=_ANSWER_S, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def _until(happened: Callable[[], bool], timeout_s: float) -> bool:
    end = time.monotonic() + timeout_s
    while not happened():
        if time.monotonic() > end:
            return False
        time.sleep(_PAUSE_S)
    return True
