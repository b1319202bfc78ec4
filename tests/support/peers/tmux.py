"""A real tmux with a socket of its own: panes that are typed into, and that a program can be started in again."""

import contextlib
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.missing_programs import skip_or_fail
from tests.support.peers.debian import NotFetched, fetch
from tests.support.peers.pseudo_terminal import until

_LEAVE_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Tmux:
    """The server behind `socket`, and what its panes are started with."""

    program: Path
    socket: Path
    environ: Mapping[str, str]
    folder: Path

    def __call__(self, *words: str | Path) -> str:
        """Run one command of tmux."""
        done = self.run(*words)
        assert done.returncode == 0, (words, done.stderr)
        return done.stdout

    def run(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        """Run one command of tmux that may fail."""
        return subprocess.run(
            [self.program, "-S", self.socket, *words], env=self.environ, cwd=self.folder,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    def open(self, *words: str | Path) -> "Pane":
        """Open a window for a program; tmux closes it with the program."""
        line = shlex.join(map(str, words))
        format_ = ("-P", "-F", "#{pane_id}")
        return Pane(self, self("new-window", *format_, "-c", self.folder, line).strip())


@dataclass(frozen=True)
class Pane:
    """One pane by its number."""

    tmux: Tmux
    number: str

    @property
    def shown(self) -> str:
        """What stands on it."""
        return self.tmux("capture-pane", "-p", "-t", self.number)

    def ask(self, text: str) -> None:
        """Type a line, then, as its own stroke, the return key."""
        if text:
            self.tmux("send-keys", "-t", self.number, "-l", text)
            time.sleep(0.3)
        self.tmux("send-keys", "-t", self.number, "Enter")

    @property
    def is_open(self) -> bool:
        """Whether it is there; tmux closes it with its program."""
        return self.number in self.tmux("list-panes", "-a", "-F", "#{pane_id}").split()

    def leave(self) -> None:
        """Interrupt its program until that has ended; how often it wants to be asked is its own affair."""
        end = time.monotonic() + _LEAVE_TIMEOUT_S
        while self.is_open:
            assert time.monotonic() < end, self.shown
            self.tmux.run("send-keys", "-t", self.number, "C-c")  # it may end at this moment
            until(lambda: not self.is_open, timeout_s=1)

    def shows(self, text: str, *, timeout_s: float = 60) -> bool:
        """Wait until a text stands on it."""
        return until(lambda: text in self.shown, timeout_s=timeout_s)


def find_tmux(bin: Path) -> Path:
    """Return tmux, of this machine or Debian's, as a program in `bin`; skips, or fails where all is demanded."""
    program, environ = shutil.which("tmux"), {}
    if program is None:
        try:
            fetched, environ = fetch("tmux", "usr/bin/tmux")
        except NotFetched as error:
            skip_or_fail(f"tmux: {error}")
        program = str(fetched)
    libraries = environ.get("LD_LIBRARY_PATH", "")
    script = bin / "tmux"
    chosen = f"LD_LIBRARY_PATH={shlex.quote(libraries)} " if libraries else ""
    script.write_text(f'#!/bin/sh\n{chosen}exec {shlex.quote(program)} "$@"\n')
    script.chmod(0o755)
    return script


@contextlib.contextmanager
def tmux(bin: Path, folder: Path, environ: Mapping[str, str]) -> Iterator[Tmux]:
    """Run a server of tmux while the block runs."""
    # A socket's path is 107 bytes at most, of which the folder of a test can take all.
    with tempfile.TemporaryDirectory(prefix="tmux-", dir="/tmp") as short:
        running = Tmux(find_tmux(bin), Path(short) / "socket", environ, folder)
        shell: Sequence[str] = ("sh",)
        size = ("-x", "160", "-y", "48")
        running("-f", "/dev/null", "new-session", "-d", *size, "-s", "all", *shell)
        try:
            yield running
        finally:
            running("kill-server")
