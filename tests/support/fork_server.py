"""
Programs without the time that Python and its imports take: one process has all imported, and forks for each.

A program is the product's command, or pytest in a copy of the tree, of which nothing is imported before. Forked, it has
a process, an environment, streams and an exit code of its own. A command can be made to die, to kill another, or to
fill the disk, at its n-th step: a function of the product or of the database's driver that begins or goes on.

Run as a program, with the number of a socket and what it forks, this file is the server; it ends when the other end is
closed.
"""

import atexit
import gc
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from types import CodeType
from typing import Any, Literal, NoReturn

_NUMBER = struct.Struct("<q")
_TOOL = 4  # of `sys.monitoring`, which keeps none of this number for others
_PYTEST = "pytest"
# What tests import, and nothing of it is the product's or starts a thread.
_TESTS_IMPORT = (
    "alembic.command", "asyncpg", "click.testing", "httpx", "hypothesis.strategies", "markdown_it", "mcp.client",
    "mcp.server", "msgspec", "pgvector.asyncpg", "prometheus_client", "psutil", "pytest", "pytest_asyncio.plugin",
    "pytest_timeout", "rich.table", "schemathesis.pytest", "schemathesis.python.asgi", "sqlalchemy.ext.asyncio",
    "starlette.applications", "structlog", "uvicorn", "yaml",
)  # fmt: skip
_FILLS = 10  # while others free and take room
_STREAMS = 4  # stdin, stdout, stderr, and the socket on which the server tells the process and how it ended


@dataclass(frozen=True)
class Steps:
    """
    The steps of a command: at `at` it fills the disk by the file `ballast`, or kills `victim`, itself where that is 0.

    Their number is written into the file `count_into`.
    """

    at: int = 0
    victim: int = 0
    ballast: str = ""
    count_into: str = ""


class ForkServer:
    """A server that is started when it is made; several threads may call `run`. It forks commands, or pytest."""

    def __init__(
        self, environ: Mapping[str, str], forks: Literal["commands", "pytest"] = "commands"
    ) -> None:
        self._control, theirs = socket.socketpair()
        self._turn = threading.Lock()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno()), forks],
                env=dict(environ),
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
        atexit.register(self.close)

    def close(self) -> None:
        """End the server."""
        self._control.close()
        self._process.wait()

    def run(
        self,
        words: Sequence[str],
        *,
        environ: Mapping[str, str],
        cwd: Path,
        given: bytes,
        timeout_s: float,
        steps: Steps | None = None,
    ) -> tuple[int, bytes, bytes]:
        """
        Run a program to its end; returns its exit code as `subprocess` has it, and what it wrote.

        Raises TimeoutExpired, after it has killed the program, of pytest the whole process group.
        """
        told, its_told = socket.socketpair()
        (its_in, into), (out, its_out), (errors, its_errors) = os.pipe(), os.pipe(), os.pipe()
        theirs = [its_in, its_out, its_errors, its_told.detach()]
        counted = asdict(steps) if steps else None
        asked = json.dumps([list(words), dict(environ), str(cwd), counted]).encode()
        with self._turn:
            socket.send_fds(self._control, [_NUMBER.pack(len(asked))], theirs)
            self._control.sendall(asked)
        for descriptor in theirs:
            os.close(descriptor)
        with told, ThreadPoolExecutor(3) as pool:
            pool.submit(_write, into, given)
            written = [pool.submit(_read, descriptor) for descriptor in (out, errors)]
            pid = _NUMBER.unpack(told.recv(_NUMBER.size))[0]
            told.settimeout(timeout_s)
            try:
                status = _NUMBER.unpack(told.recv(_NUMBER.size))[0]
            except TimeoutError:
                (os.killpg if os.getpgid(pid) == pid else os.kill)(pid, signal.SIGKILL)
                raise subprocess.TimeoutExpired(list(words), timeout_s) from None
            return status, written[0].result(), written[1].result()


def _write(descriptor: int, given: bytes) -> None:
    with suppress(BrokenPipeError), os.fdopen(descriptor, "wb", 0) as stream:
        while given:
            given = given[stream.write(given) :]


def _read(descriptor: int) -> bytes:
    with os.fdopen(descriptor, "rb") as stream:
        return stream.read()


def serve(control: socket.socket, forks: str) -> None:
    """Fork for each program that is asked for, and tell how each ended, until nobody asks any more."""
    if forks == _PYTEST:
        for name in _TESTS_IMPORT:
            import_module(name)
        assert "mahavishnu" not in sys.modules
    else:
        _import_commands()
    gc.freeze()  # no process that is forked searches what was imported, nor copies its pages by that
    running: dict[int, tuple[int, int]] = {}  # by pidfd: the pid, and where to tell
    poll = select.poll()
    poll.register(control, select.POLLIN)
    while True:
        for ready, _ in poll.poll():
            if ready in running:
                poll.unregister(ready)
                pid, told = running.pop(ready)
                status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                with suppress(BrokenPipeError):  # whoever asked has waited long enough
                    os.write(told, _NUMBER.pack(status))
                os.close(told)
                os.close(ready)
                continue
            head, streams, _, _ = socket.recv_fds(control, _NUMBER.size, _STREAMS)
            if not head:
                return
            size: int = _NUMBER.unpack(head)[0]
            asked = json.loads(control.recv(size, socket.MSG_WAITALL))
            pid = os.fork()
            if not pid:
                _become(*asked, streams)
            os.write(streams[-1], _NUMBER.pack(pid))
            for descriptor in streams[:-1]:
                os.close(descriptor)
            pidfd = os.pidfd_open(pid)
            running[pidfd] = (pid, streams[-1])
            poll.register(pidfd, select.POLLIN)


def _import_commands() -> None:
    """Import what commands import, but for what starts threads, which no fork would have."""
    import mahavishnu.interfaces.cli as commands

    for module in walk_packages(commands.__path__, f"{commands.__name__}."):
        import_module(module.name)
    with suppress(ImportError):
        import coverage

        if measured := coverage.Coverage.current():  # the imports; each command measures its own
            measured.stop()
            measured.save()
            measured._auto_save = False


def _count(steps: Steps) -> None:
    """Count the steps of this process from now on."""
    taken, watch = 0, sys.monitoring
    counted = tuple(
        str(Path(import_module(name).__file__ or "").parent) for name in ("mahavishnu", "asyncpg")
    )

    def step(code: CodeType, _offset: int, *_value: object) -> Any:
        nonlocal taken
        if not code.co_filename.startswith(counted):
            return watch.DISABLE
        taken += 1
        if taken == steps.at and steps.ballast:
            _fill(Path(steps.ballast))
        elif taken == steps.at:
            with suppress(ProcessLookupError):
                os.kill(steps.victim or os.getpid(), signal.SIGKILL)
        return None

    watch.use_tool_id(_TOOL, "steps")
    for event in (watch.events.PY_START, watch.events.PY_RESUME):
        watch.register_callback(_TOOL, event, step)
    watch.set_events(_TOOL, watch.events.PY_START | watch.events.PY_RESUME)
    if steps.count_into:
        atexit.register(lambda: Path(steps.count_into).write_text(str(taken)))


def _fill(ballast: Path) -> None:
    """Take all room of a disk, also what others free or take meanwhile."""
    with ballast.open("wb") as stream:
        for _ in range(_FILLS):
            room, there = os.fstatvfs(stream.fileno()), os.fstat(stream.fileno()).st_size
            if room.f_bavail:
                with suppress(OSError):
                    os.posix_fallocate(stream.fileno(), there, room.f_bavail * room.f_frsize)


def _become(
    words: Sequence[str],
    environ: Mapping[str, str],
    cwd: str,
    steps: Mapping[str, Any] | None,
    streams: Sequence[int],
) -> NoReturn:
    """Be the program in this process, as if Python had just started it."""
    for place, descriptor in enumerate(streams[:3]):
        os.dup2(descriptor, place)
    os.closerange(3, max(streams) + 1)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environ)
    sys.argv = list(words)
    status = 1
    try:
        if words[0] == _PYTEST:
            _test(words[1:], cwd)
        if "COVERAGE_PROCESS_CONFIG" in environ:
            import coverage

            coverage.process_startup(force=True)
        from mahavishnu.interfaces.cli.root import main

        if steps:
            _count(Steps(**steps))
        main()
        status = 0
    except SystemExit as left:
        status = left.code if isinstance(left.code, int) else int(left.code is not None)
    except BaseException:  # noqa: BLE001 - as the interpreter has it
        sys.excepthook(*sys.exc_info())
    finally:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(status)


def _test(words: Sequence[str], folder: str) -> NoReturn:
    """Be pytest in a folder with a copy of the tree; raises SystemExit at its end."""
    import pytest

    os.setsid()
    sys.path.insert(0, folder)
    # Its plugins are imported already, which it would refuse.
    sys.exit(pytest.main(["-W", "ignore::pytest.PytestAssertRewriteWarning", *words]))


if __name__ == "__main__":
    sys.path.pop(0)  # the folder of this file, which an installed command does not have
    serve(socket.socket(fileno=int(sys.argv[1])), sys.argv[2])
