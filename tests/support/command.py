"""The installed command as a subprocess: with a home of its own and nothing else of this machine."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from tests.support.fork_server import ForkServer, Steps

PROGRAM = Path(sys.executable).with_name("mahavishnu")
ROOT = os.geteuid() == 0
# Measuring coverage doubles the time of a command: it is measured the first time that it runs with its options.
UNMEASURED = {"COVERAGE_PROCESS_CONFIG": ""}
_run_before: set[tuple[str, ...]] = set()

TIMEOUT_S = 120
READ_AT_START = ("PYTHON", "LC_", "LANG", "LD_")  # what the names begin with of what Python reads

type Word = str | bytes | Path


@dataclass(frozen=True)
class Answer:
    """How a command ended and what it said."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The result; asserts that it is the one thing that was said."""
        assert self.status == 0, self
        body: dict[str, Any] = json.loads(self.out)
        assert body.pop("schema") == 1
        return body

    @property
    def error(self) -> dict[str, Any]:
        """The error of a command with `--json`; asserts its shape and that nothing else was said."""
        assert self.status != 0 and self.out == "", self
        body = json.loads(self.err)
        assert list(body) == ["error"]
        error: dict[str, Any] = body["error"]
        assert list(error) == ["code", "message", "hint"] and error["message"]
        return error


@dataclass(frozen=True)
class Command:
    """
    Runs `mahavishnu` with `home` as HOME, its data below it, and `environment` besides.

    A call is forked from a process that has all imported, unless it needs Python's own start.
    """

    home: Path
    environment: dict[str, str] = field(default_factory=dict)
    program: tuple[Word, ...] = (PROGRAM,)

    @property
    def root(self) -> Path:
        """What MAHAVISHNU_HOME says."""
        return self.home / "mahavishnu"

    @property
    def settings(self) -> Path:
        """The user's settings file, with its folder made."""
        folder = self.root / "config"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / "mahavishnu.yaml"

    def environ(
        self, more: dict[str, str] | None = None, *, measured: bool = False
    ) -> dict[str, str]:
        """Return all that a command sees of the environment; an empty value takes one away."""
        whole = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "MAHAVISHNU_HOME": str(self.root),
            "MAHAVISHNU_PG_IDLE_TIMEOUT": "2",
            # The latter leads to the tree under test where that is a copy with a seeded fault.
            **{
                name: value
                for name, value in os.environ.items()
                if (measured and name.startswith("COVERAGE_")) or name == "PYTHONPATH"
            },
            **self.environment,
            **(more or {}),
        }
        return {name: value for name, value in whole.items() if value}

    def __call__(
        self,
        *words: Word,
        input: bytes = b"",
        cwd: Path | None = None,
        preexec: Callable[[], None] | None = None,
        **environment: str,
    ) -> Answer:
        """Run it to its end."""
        environ = self.environ(environment, measured=_is_first(self, words))
        program = [*self.program, *words]
        if preexec or not _can_fork(program, environ):
            done = subprocess.run(
                program, env=environ, input=input, capture_output=True, cwd=cwd or self.home,
                preexec_fn=preexec, timeout=TIMEOUT_S, check=False,
            )  # fmt: skip
            answer = Answer(done.returncode, done.stdout.decode(), done.stderr.decode())
        else:
            answer = self._fork(words, environ, input=input, cwd=cwd)
        assert "Traceback" not in answer.err, answer
        return answer

    def stepwise(
        self, steps: Steps, *words: Word, input: bytes = b"", **environment: str
    ) -> Answer:
        """Run it, harmed at one of its steps or counted; the status of what was killed is negative."""
        return self._fork(words, self.environ(environment), input=input, steps=steps)

    def _fork(
        self, words: Sequence[Word], environ: dict[str, str], *, input: bytes, cwd: Path | None = None,
        steps: Steps | None = None,
    ) -> Answer:  # fmt: skip
        program = [os.fsdecode(word) for word in (*self.program, *words)]
        status, out, err = _server().run(
            program, environ=environ, cwd=cwd or self.home, given=input, timeout_s=TIMEOUT_S, steps=steps
        )  # fmt: skip
        return Answer(status, out.decode(), err.decode())

    def start(self, *words: Word, **options: Any) -> subprocess.Popen[bytes]:
        """Start it and return the process, its output piped unless told otherwise."""
        environment = options.pop("environment", None)
        piped = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL}
        return subprocess.Popen(
            [*self.program, *words],
            env=self.environ(environment, measured=_is_first(self, words)),
            cwd=self.home,
            **(piped | options),
        )

    def sql(self, statement: str) -> str:
        """Return what psql prints for a statement, as the product's own user, bare."""
        answer = self("db", "shell", "-XAtc", statement)
        assert answer.status == 0, answer
        return answer.out.strip()


def _can_fork(program: Sequence[Word], environ: Mapping[str, str]) -> bool:
    """Tell whether nothing of a call needs Python's own start: another program, or what Python reads there."""
    read = [name for name in environ if name.startswith(READ_AT_START)]
    return program[0] == PROGRAM and all(environ[name] == os.environ.get(name) for name in read)


@cache
def _server() -> ForkServer:
    """Start this process's server with the first call that takes it."""
    given = (*READ_AT_START, "PATH", "COVERAGE_")
    return ForkServer({name: os.environ[name] for name in os.environ if name.startswith(given)})


def _is_first(command: Command, words: Sequence[Word]) -> bool:
    """Tell whether a command with these options was not run yet, and remember that it was."""
    texts = [word for word in words if isinstance(word, str)]
    options = sorted({text.partition("=")[0] for text in texts if text.startswith("--")})
    key = (str(command.program[0]), *texts[:3], *options)
    new = key not in _run_before
    _run_before.add(key)
    return new


def run_in_terminal(
    command: Command, words: Sequence[Word], *, typed: bytes = b"", columns: int = 100
) -> Answer:
    """Run it with a terminal for all three streams; `out` is everything that was shown."""
    ours, theirs = pty.openpty()
    process = command.start(
        *words,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        environment={"TERM": "xterm-256color", "COLUMNS": str(columns)},
    )
    os.close(theirs)
    shown = b""
    try:
        if typed:
            os.write(ours, typed)
        while True:
            try:
                piece = os.read(ours, 65_536)
            except OSError:  # Linux says so when the last holder of the other end is gone
                break
            if not piece:
                break
            shown += piece
        status = process.wait(120)
    finally:
        os.close(ours)
        process.kill()
        process.wait()
    return Answer(status, shown.decode(), "")


def leave_root() -> None:
    """Between fork and exec: be uid 1000 in a namespace where only root's files are one's own."""
    if not ROOT:
        return
    os.unshare(os.CLONE_NEWUSER)
    for name, text in (("setgroups", "deny"), ("uid_map", "1000 0 1"), ("gid_map", "1000 0 1")):
        Path(f"/proc/self/{name}").write_text(text)


def close_to_others(path: Path, mode: int) -> None:
    """Give `path` a mode that also binds a root which has become another by `leave_root`."""
    if ROOT:
        os.chown(path, 65534, 65534)
    path.chmod(mode)
