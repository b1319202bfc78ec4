"""A real tmux with a socket of its own: panes that are typed into, and that a program can be started in again."""

import contextlib
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.peers.debian import NotFetched, fetch
from tests.peers.pseudo_terminal import until


@dataclass(frozen=True)
class Tmux:
    """The server behind `socket`, and what its panes are started with."""

    program: Path
    socket: Path
    environ: Mapping[str, str]
    folder: Path

    def __call__(self, *words: str | Path) -> str:
        """Run one command of tmux."""
        done = subprocess.run(
            [self.program, "-S", self.socket, *words], env=self.environ, cwd=self.folder,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, check=False,
        )  # fmt: skip
        assert done.returncode == 0, (words, done.stderr)
        return done.stdout

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
        self.tmux("send-keys", "-t", self.number, "-l", text)
        time.sleep(0.3)
        self.tmux("send-keys", "-t", self.number, "Enter")

    def press(self, key: str) -> None:
        """Press one key by tmux's name."""
        self.tmux("send-keys", "-t", self.number, key)

    def shows(self, text: str, *, timeout_s: float = 60) -> bool:
        """Wait until a text stands on it."""
        return until(lambda: text in self.shown, timeout_s=timeout_s)


def find_tmux(bin: Path) -> Path:
    """Return tmux, of this machine or Debian's, as a program in `bin`; skips, or fails in CI, without one."""
    program, environ = shutil.which("tmux"), {}
    if program is None:
        try:
            fetched, environ = fetch("tmux", "usr/bin/tmux")
        except NotFetched as error:
            pytest.skip(f"tmux: {error}")
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
    running = Tmux(find_tmux(bin), folder.parent / "tmux.sock", environ, folder)
    shell: Sequence[str] = ("sh",)
    running("-f", "/dev/null", "new-session", "-d", "-x", "160", "-y", "48", "-s", "all", *shell)
    try:
        yield running
    finally:
        running("kill-server")
