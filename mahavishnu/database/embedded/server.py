"""
The user's side of the embedded PostgreSQL: hold a lease on it, and have a keeper started for it.

The database is `mahavishnu`, its owner `mahavishnu` without a password, on port 5432 of the socket
in `Lease.socket_folder`. The keeper stops the server some time after the last lease is gone.
"""

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Self

from mahavishnu.base.errors import Forbidden, Unavailable, UsageError
from mahavishnu.base.paths import private_folder
from mahavishnu.database.embedded.binaries import Binaries, find_binaries, require_platform
from mahavishnu.database.embedded.state import (
    KEPT_BY_ANOTHER,
    KeeperRecord,
    Layout,
    PostmasterFile,
    parse_failure,
    read_failure,
    require_space,
    translated_os_errors,
)

try:
    import fcntl
except ImportError:  # native Windows, which `require_platform` refuses before a lock is needed
    fcntl = None  # type: ignore[assignment]

PATIENCE = timedelta(seconds=120)
# The keeper looks for the socket several times a second, and restarts the server without one.
UNSEEN = timedelta(seconds=10)
# With the poll and the shutdown it stays below the minute that the product promises.
IDLE_TIMEOUT = timedelta(seconds=50)
KEEPER = Path(__file__).with_name("keeper.py")
FRUITLESS_LIMIT = 3
POLL_S = 0.01
# What a Python may need to start; the keeper lives long and must hold none of the user's secrets.
KEEPER_ENVIRONMENT = ("HOME", "PATH", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")


class EmbeddedServer:
    """The embedded PostgreSQL in one folder; any number of processes may use it at once."""

    def __init__(
        self,
        folder: Path,
        *,
        binaries: Path | None = None,
        idle_timeout: timedelta = IDLE_TIMEOUT,
        keeper_options: Sequence[str] = (),
        restarted: Callable[[], None] = lambda: None,
    ) -> None:
        """
        Describe the server; nothing is created or started.

        `binaries` is the configured folder of PostgreSQL's programs, `keeper_options` are further
        arguments of `keeper.py`. `restarted` is called when `ensure` started it again.
        """
        self._layout = Layout(folder)
        self._binaries = binaries
        self._idle_timeout = idle_timeout
        self._keeper_options = tuple(keeper_options)
        self._restarted = restarted
        self._leases: set[Lease] = set()
        self._socket_folder: Path | None = None
        self._starting = asyncio.Lock()

    async def acquire(self, *, timeout: timedelta = PATIENCE) -> "Lease":  # noqa: ASYNC109
        """
        Return a lease on the running server, starting it where needed; the caller closes the lease.

        `timeout` is how long nothing at all may happen: a start that makes progress, such as a
        long crash recovery, is waited for.

        Raises:
            Conflict, Corrupt, Forbidden, Unavailable: what the keeper met, or
                `database.no_binaries`, `database.disk_full`, `database.not_writable`,
                `database.socket_missing`, `database.start_timeout`.
            UsageError: `database.folder_name` or `settings.not_a_folder`.
        """
        require_platform()
        descriptor = self._open_lease()
        with contextlib.ExitStack() as undo:
            undo.callback(os.close, descriptor)
            await self._share(descriptor, timeout)
            await self._bring_up(timeout)
            undo.pop_all()
        lease = Lease(self, descriptor)
        self._leases.add(lease)
        return lease

    async def ensure(self, *, timeout: timedelta = PATIENCE) -> None:  # noqa: ASYNC109
        """
        Return when the server runs, starting it again where it does not. Needs an open lease.

        Raises as `acquire`, and UsageError without a lease.
        """
        if not self._leases:
            raise UsageError(
                "The lease on the embedded PostgreSQL is closed.", code="database.lease"
            )
        if await self._bring_up(timeout):
            await asyncio.to_thread(self._restarted)

    @property
    def socket_folder(self) -> Path:
        """Where the server was last found to listen; a restart may move it."""
        if self._socket_folder is None:
            raise UsageError("The embedded PostgreSQL was not acquired.", code="database.lease")
        return self._socket_folder

    def forget(self, lease: "Lease") -> None:
        """Called by a lease when it is closed."""
        self._leases.discard(lease)

    def _open_lease(self) -> int:
        with translated_os_errors(self._layout.folder):
            if {"\n", "\r"} & set(
                str(self._layout.folder.resolve())
            ):  # initdb passes it to a shell
                raise UsageError(
                    "PostgreSQL cannot work in a folder whose path holds a line break:"
                    f" {str(self._layout.folder)!r}",
                    hint="Choose another place, for example by MAHAVISHNU_HOME.",
                    code="database.folder_name",
                )
            private_folder(self._layout.folder)
            if self._layout.folder.stat().st_uid != os.geteuid():
                raise Forbidden(
                    f"The embedded database in {self._layout.folder} belongs to another user.",
                    hint="Run as that user, or set MAHAVISHNU_HOME to a place of your own.",
                    code="database.not_writable",
                )
            return os.open(self._layout.lease, os.O_RDWR | os.O_CREAT, 0o600)

    async def _share(self, descriptor: int, timeout: timedelta) -> None:  # noqa: ASYNC109
        # A keeper holds it exclusively for an instant to see whether it is free, and for good while
        # it stops the server.
        patience = ProgressTimeout(timeout, self._observe)
        delay_s = 0.0005
        while not try_share(descriptor):
            patience.spend()
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, 0.02)

    async def _bring_up(self, timeout: timedelta) -> bool:  # noqa: ASYNC109
        """Return whether it did not run before."""
        with translated_os_errors(self._layout.folder):
            if self._is_running():
                return False
            async with self._starting:
                if self._is_running():
                    return False
                await self._start(timeout)
                return True

    async def _start(self, timeout: timedelta) -> None:  # noqa: ASYNC109
        known = read_failure(self._layout.failure)
        patience = ProgressTimeout(timeout, self._observe)
        binaries: Binaries | None = None
        fruitless = 0
        pause_s = POLL_S
        unseen = ProgressTimeout(UNSEEN, self._ready)
        while not self._is_running():
            failure = read_failure(self._layout.failure)
            if failure and failure != known:
                raise parse_failure(failure)
            if self._has_keeper():
                pause_s = POLL_S
            else:
                if fruitless == FRUITLESS_LIMIT:
                    raise self._explain_silence()
                if binaries is None:
                    binaries = await asyncio.to_thread(find_binaries, self._binaries)
                status = await asyncio.to_thread(self._spawn_keeper, binaries)
                if status == KEPT_BY_ANOTHER:  # it is about to write who it is
                    pause_s = min(max(pause_s * 2, 0.1), 2.0)
                else:
                    fruitless += 1
            patience.spend()
            if (ready := self._ready()) and unseen.is_spent():
                raise _explain_unseen(ready.socket_folder)
            await asyncio.sleep(pause_s)

    def _is_running(self) -> bool:
        found = self._ready()
        if found is None or not found.has_socket:
            return False
        self._socket_folder = found.socket_folder
        return True

    def _ready(self) -> PostmasterFile | None:
        """Return what a server says of itself that a keeper keeps and that takes connections."""
        found = PostmasterFile.read(self._layout.cluster)
        record = KeeperRecord.read(self._layout.keeper_lock)
        if found is None or record is None or record.stage == "stopping":
            return None
        owned = record.postmaster
        if owned is None or not found.is_ready(owned):
            return None
        return found if record.keeper.alive and owned.alive else None

    def _has_keeper(self) -> bool:
        record = KeeperRecord.read(self._layout.keeper_lock)
        return record is not None and record.keeper.alive

    def _observe(self) -> object:
        logs = (self._layout.server_log, self._layout.keeper_log)
        return (
            KeeperRecord.read(self._layout.keeper_lock),
            PostmasterFile.read(self._layout.cluster),
            [log.stat().st_size if log.exists() else 0 for log in logs],
        )

    def _spawn_keeper(self, binaries: Binaries) -> int:
        command = [sys.executable, "-I", "-S", str(KEEPER)]
        command += ["--folder", str(self._layout.folder.resolve()), "--bin", str(binaries.bin)]
        command += ["--idle-seconds", str(self._idle_timeout.total_seconds())]
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        log = os.open(self._layout.keeper_log, flags, 0o600)
        try:
            keeper = subprocess.Popen(
                [*command, *self._keeper_options],
                env={name: os.environ[name] for name in KEEPER_ENVIRONMENT if name in os.environ},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._layout.folder,
                start_new_session=True,
            )
        finally:
            os.close(log)
        return keeper.wait()  # it goes on in a grandchild as soon as it is known to others

    def _explain_silence(self) -> Unavailable:
        require_space(self._layout.folder)
        return Unavailable(
            "The keeper of the embedded PostgreSQL ended without a message.",
            hint=f"Its log is {self._layout.keeper_log}",
            code="database.keeper_failed",
        )


class Lease:
    """A hold on the running server, until it is closed or the process ends in whatever way."""

    def __init__(self, server: EmbeddedServer, descriptor: int) -> None:
        """Take over a descriptor with a shared lock."""
        self._server = server
        self._descriptor: int | None = descriptor

    @property
    def socket_folder(self) -> Path:
        """The folder of the socket, to be given as the host."""
        return self._server.socket_folder

    def close(self) -> None:
        """Let the server go; closing twice is fine."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
            self._server.forget(self)

    async def __aenter__(self) -> Self:
        """Return the lease, already held."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it."""
        self.close()


class ProgressTimeout:
    """A time-out that begins again whenever what is observed changes."""

    def __init__(self, timeout: timedelta, observe: Callable[[], object]) -> None:
        """Begin now; `observe` returns something comparable that changes with progress."""
        self._timeout = timeout
        self._observe = observe
        self._seen = observe()
        self._since = time.monotonic()

    def is_spent(self) -> bool:
        """Tell whether nothing has changed for too long."""
        now, seen = time.monotonic(), self._observe()
        if seen != self._seen:
            self._seen, self._since = seen, now
        return now - self._since > self._timeout.total_seconds()

    def spend(self) -> None:
        """Raise Unavailable `database.start_timeout` if nothing has changed for too long."""
        if self.is_spent():
            raise Unavailable(
                "The embedded PostgreSQL neither started nor said why"
                f" within {self._timeout.total_seconds():g} s.",
                hint="Look at the logs in its folder, and try again.",
                code="database.start_timeout",
            )


def _explain_unseen(folder: Path) -> Unavailable:
    return Unavailable(
        f"The embedded PostgreSQL runs, but its socket in {folder} cannot be seen.",
        hint="Where this program has a /tmp of its own (a container, systemd's PrivateTmp),"
        " let it share that of the others, or give it a MAHAVISHNU_HOME of its own.",
        code="database.socket_missing",
    )


def try_share(descriptor: int) -> bool:
    """Take the shared lock if it is free."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
