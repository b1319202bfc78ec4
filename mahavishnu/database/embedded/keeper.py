"""
The keeper: a small process that owns the postmaster of the embedded PostgreSQL.

It starts the server, restarts it after a crash while somebody uses it, and stops it when nobody has
held the lease for a while. Run as a script by `server.py`, with the standard library only.
"""

import argparse
import collections
import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

if __name__ == "__main__":
    sys.path.append(str(Path(__file__).parents[3]))  # -I -S: nothing but the package is found

from mahavishnu.base.children import adopt_orphans
from mahavishnu.base.errors import MahavishnuError, Unavailable
from mahavishnu.base.processes import ProcessIdentity, identify
from mahavishnu.database.embedded.binaries import inspect_binaries
from mahavishnu.database.embedded.children import (
    MODES,
    Watcher,
    choose_rights,
    end_orphans,
    prepare_child,
)
from mahavishnu.database.embedded.cluster import Cluster
from mahavishnu.database.embedded.server_log import LOG_BYTES, bound_log, last_words, log_size
from mahavishnu.database.embedded.sockets import SocketFolder, prepare_socket_folder
from mahavishnu.database.embedded.state import (
    KEPT_BY_ANOTHER,
    KeeperRecord,
    Layout,
    PostmasterFile,
    require_space,
    translate_os_error,
    write_failure,
)

POLL_S = 0.25
CRASH_WINDOW_S = 60.0
CRASH_LIMIT = 5
STOP_STEPS = ((signal.SIGINT, 60.0), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 10.0))


@dataclass(frozen=True)
class KeeperOptions:
    """What the keeper was asked to do."""

    folder: Path
    bin: Path
    idle_s: float
    privileges: str
    watch: bool


@dataclass
class Postmaster:
    """A running or dead postmaster: a child, or one adopted from a keeper that was killed."""

    identity: ProcessIdentity
    child: subprocess.Popen[bytes] | None = None
    watcher: Watcher | None = None

    @property
    def alive(self) -> bool:
        """Whether it runs; a dead child is reaped."""
        return self.child.poll() is None if self.child else self.identity.alive

    def stop(self) -> None:
        """Shut down: politely, then at once, then by force; return when it is gone."""
        for number, patience_s in STOP_STEPS:
            if self.alive:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.identity.pid, number)
            until = time.monotonic() + patience_s
            while self.alive and time.monotonic() < until:
                time.sleep(0.02)
        self.release()

    def release(self) -> None:
        """Let its watcher go; the postmaster is dead."""
        if self.watcher is not None:
            self.watcher.end()
            self.watcher = None


class Keeper:
    """One folder's keeper, from the moment it holds `keeper.lock`."""

    def __init__(self, options: KeeperOptions, lock: int, identity: ProcessIdentity) -> None:
        self.options = options
        self.layout = Layout(options.folder)
        self.lock = lock
        self.identity = identity
        self.lease = os.open(self.layout.lease, os.O_RDWR | os.O_CREAT, 0o600)
        self.unused_since: float | None = None
        self.crashes: collections.deque[float] = collections.deque()
        self.log_start = log_size(self.layout.server_log)  # of what the last start says
        self.stop_asked = False
        self.record = KeeperRecord(identity, "beginning")

    def keep(self, previous: KeeperRecord | None) -> None:
        """Serve until nobody is left, or a signal asks for the end; the server is stopped then."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask_stop)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        adopt_orphans()
        binaries = inspect_binaries(self.options.bin)
        rights = choose_rights(
            self.options.privileges, binaries.require("postgres"), self.layout.folder
        )
        cluster = Cluster(self.layout, binaries, rights)
        postmaster = self._adopt(cluster, previous)
        if postmaster is None:
            self._record("preparing")
            cluster.prepare()
        sockets = prepare_socket_folder(self.layout.cluster, reuse=postmaster is not None)
        try:
            postmaster = postmaster or self._start(cluster, sockets)
            while not self.stop_asked and not self._unused():
                self._assert_lock()
                if not postmaster.alive or self._is_cut_off(postmaster, sockets):
                    self._bury(postmaster, cluster)
                    sockets = sockets.renew(self.layout.cluster)
                    postmaster = self._start(cluster, sockets)
                bound_log(self.layout.server_log)
                time.sleep(POLL_S)
            self._record("stopping", postmaster.identity)
        finally:
            if postmaster is not None:
                postmaster.stop()
            sockets.remove()

    def _ask_stop(self, _number: int, _frame: FrameType | None) -> None:
        self.stop_asked = True

    def _record(self, stage: str, postmaster: ProcessIdentity | None = None) -> None:
        self.record = KeeperRecord(self.identity, stage, postmaster)
        self.record.write(self.lock)

    def _assert_lock(self) -> None:
        """Write the record again where somebody damaged it; end where another file has its name."""
        try:
            ours = os.path.samestat(self.layout.keeper_lock.stat(), os.fstat(self.lock))
        except FileNotFoundError:
            ours = False
        if not ours:  # whoever locks the other file is a keeper too, and adopts or starts a server
            self.stop_asked = True
        elif KeeperRecord.read(self.layout.keeper_lock) != self.record:
            self.record.write(self.lock)

    def _adopt(self, cluster: Cluster, previous: KeeperRecord | None) -> Postmaster | None:
        found = PostmasterFile.read(self.layout.cluster)
        identity = identify(found.pid) if found else None
        if identity is None:
            return None
        if (previous and previous.postmaster == identity) or cluster.is_served_by(identity.pid):
            self._record("adopted", identity)
            return Postmaster(identity)
        cluster.disown_stranger(identity.pid)
        return None

    def _start(self, cluster: Cluster, sockets: SocketFolder) -> Postmaster:
        bound_log(self.layout.server_log)
        self.log_start = log_size(self.layout.server_log)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        log = os.open(self.layout.server_log, flags, 0o600)
        try:
            child = subprocess.Popen(
                cluster.command(sockets.path),
                env=cluster.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=prepare_child(
                    cluster.rights, None if self.options.watch else signal.SIGINT
                ),
                cwd=self.layout.folder,
            )
        finally:
            os.close(log)
        identity = identify(child.pid) or ProcessIdentity(child.pid, "dead")
        self._record("serving", identity)
        watcher = Watcher.start(identity) if self.options.watch else None
        return Postmaster(identity, child, watcher)

    def _is_cut_off(self, postmaster: Postmaster, sockets: SocketFolder) -> bool:
        """Tell whether the socket of a server that is ready is gone, as after a cleaning of /tmp."""
        if sockets.has_socket:
            return False
        found = PostmasterFile.read(self.layout.cluster)
        return found is not None and found.is_ready(postmaster.identity)

    def _bury(self, postmaster: Postmaster, cluster: Cluster) -> None:
        """Prepare for the next postmaster; this one is dead, or of no use to anybody."""
        crashed = not postmaster.alive
        if not crashed:
            self._record("stopping", postmaster.identity)
            postmaster.stop()
        postmaster.release()
        end_orphans()
        if postmaster.child is None:  # adopted: the files were not looked at yet
            cluster.prepare()
        elif crashed:
            self._count_crash()

    def _count_crash(self) -> None:
        now = time.monotonic()
        self.crashes.append(now)
        while now - self.crashes[0] > CRASH_WINDOW_S:
            self.crashes.popleft()
        count = len(self.crashes)
        if count == 1:  # with little room it may well start again, and what is stored can be read
            return
        require_space(self.layout.folder)
        if count == CRASH_LIMIT:
            raise Unavailable(
                f"The embedded PostgreSQL ended {count} times within a minute:"
                f" {last_words(self.layout.server_log, since=self.log_start)}",
                hint=f"The log is {self.layout.server_log}",
                code="database.start_failed",
            )
        time.sleep(POLL_S * 2 ** (count - 1))

    def _unused(self) -> bool:
        """Tell whether nobody used the server for long enough; the lease then stays locked."""
        try:
            fcntl.flock(self.lease, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.unused_since = None
            return False
        now = time.monotonic()
        if self.unused_since is None:
            self.unused_since = now
        if now - self.unused_since >= self.options.idle_s:
            return True
        fcntl.flock(self.lease, fcntl.LOCK_UN)
        return False


def parse_options(arguments: list[str]) -> KeeperOptions:
    """Read the command line; the last two options exist for tests."""
    parser = argparse.ArgumentParser(prog="keeper", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--bin", type=Path, required=True)
    parser.add_argument("--idle-seconds", type=float, required=True)
    parser.add_argument("--privileges", choices=MODES, default="auto")
    parser.add_argument("--watch", action="store_true", default=sys.platform != "linux")
    found = parser.parse_args(arguments)
    return KeeperOptions(found.folder, found.bin, found.idle_seconds, found.privileges, found.watch)


def run(options: KeeperOptions, lock: int, announce: int) -> None:
    """Be the keeper: say so, keep, and leave a failure for the users where that ends badly."""
    layout = Layout(options.folder)
    identity = identify(os.getpid())
    assert identity is not None
    try:
        previous = KeeperRecord.read(layout.keeper_lock)
        layout.failure.unlink(missing_ok=True)
        KeeperRecord(identity, "beginning").write(lock)
        os.write(announce, b".")
        os.close(announce)
        Keeper(options, lock, identity).keep(previous)
    except Exception as error:
        traceback.print_exc()
        write_failure(layout.failure, explain(error, layout), identity)
        raise SystemExit(1) from error


def explain(error: Exception, layout: Layout) -> MahavishnuError:
    """Return `error` as one that users can be shown."""
    if isinstance(error, MahavishnuError):
        return error
    if isinstance(error, OSError):
        return translate_os_error(error, layout.folder)
    return Unavailable(
        f"The keeper of the embedded PostgreSQL failed ({type(error).__name__}).",
        hint=f"The reason is in {layout.keeper_log}",
        code="database.keeper_failed",
    )


def main() -> int:
    """
    Take the lock and go on in the background: a grandchild of the caller, which reaps no zombie.

    Returns when the keeper is known to all, with 0, or with 3 where another one keeps the folder.
    """
    options = parse_options(sys.argv[1:])
    os.umask(0o077)
    layout = Layout(options.folder)
    bound_log(layout.keeper_log, LOG_BYTES // 10)
    lock = os.open(layout.keeper_lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return KEPT_BY_ANOTHER
    ready, announce = os.pipe()
    if os.fork():
        os.close(announce)
        os.read(ready, 1)
        os._exit(0)
    os.close(ready)
    run(options, lock, announce)
    return 0


if __name__ == "__main__":
    sys.exit(main())
