"""
The files of the embedded PostgreSQL: a cluster made whole or not at all, and its settings.
"""

import contextlib
import locale
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from mahavishnu.base.errors import Conflict, Corrupt, Forbidden, Unavailable
from mahavishnu.base.files import sync_folder, write_atomically
from mahavishnu.database.embedded.binaries import Binaries
from mahavishnu.database.embedded.children import NOBODY, Rights, prepare_child
from mahavishnu.database.embedded.state import PORT, Layout, require_space

SHARED_MEMORY_BYTES = 1024**3
FIRST_NORMAL_OID = 16_384  # PostgreSQL, access/transam.h
VECTOR_RECORD = "vector.version"

# Trust is the whole of it, because nobody else can reach the socket: its folder has mode 0700.
HBA = "local all all trust\n"

SERVER_STATEMENTS = """\
CREATE ROLE mahavishnu LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE
CREATE DATABASE mahavishnu OWNER mahavishnu
"""
DATABASE_STATEMENTS = """\
CREATE EXTENSION vector
REVOKE CREATE ON SCHEMA public FROM PUBLIC
GRANT ALL ON SCHEMA public TO mahavishnu
"""
UPDATE_STATEMENTS = """\
CREATE EXTENSION IF NOT EXISTS vector
ALTER EXTENSION vector UPDATE
"""

SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "huge_pages": "off",
    "work_mem": "16MB",
    "maintenance_work_mem": "256MB",
    "max_wal_size": "2GB",
    "wal_compression": "on",
    "jit": "off",
    # The keeper restarts it: left to itself it would try for ever on a full disk, and not say so.
    "restart_after_crash": "off",
    "random_page_cost": "1.1",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # The log never holds users' text: an error's message may quote a value, and DETAIL a whole row.
    # The client gets every error anyway; LOG, FATAL and PANIC remain.
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
}


@dataclass(frozen=True)
class Cluster:
    """The cluster of one folder, the programs that serve it, and the rights they run with."""

    layout: Layout
    binaries: Binaries
    rights: Rights

    def prepare(self) -> None:
        """
        Create the cluster, or check the one that is there and bring pgvector up to date.

        No postmaster may run. A crash in here leaves no cluster, or a whole one.

        Raises:
            Conflict: `database.cluster_version`.
            Corrupt: `database.cluster_damaged`.
            Forbidden: `database.not_writable`, where the cluster is another user's.
            Unavailable: `database.disk_full` or `database.initdb_failed`.
        """
        for leftover in self.layout.folder.glob("cluster.new-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        if self.layout.cluster.exists():
            self._check_version()
            self._take_ownership()
            self._update_vector()
        else:
            self._create()

    def command(self, socket_folder: Path) -> list[str]:
        """Return the postmaster's arguments; argument 0 is the full path, or it finds another's."""
        command = [str(self.binaries.require("postgres")), "-D", str(self.layout.cluster)]
        command += ["-k", str(socket_folder), "-p", str(PORT)]
        for name, value in {**SETTINGS, "dynamic_shared_memory_type": shared_memory()}.items():
            command += ["-c", f"{name}={value}"]
        return command

    def environment(self) -> dict[str, str]:
        """Return all that a PostgreSQL program gets to see: no PG*, LD_* or secret of the user."""
        return {"PATH": f"{self.binaries.bin}:{os.defpath}", "LC_ALL": "C", "TZ": "UTC"}

    def is_served_by(self, pid: int) -> bool:
        """Tell whether the running `pid` works in this cluster's folder, as a postmaster does."""
        with contextlib.suppress(OSError):  # it is gone or another user's, or there is no /proc
            return self.layout.cluster.samefile(f"/proc/{pid}/cwd")
        return False

    def disown_stranger(self, stranger: int) -> None:
        """
        Let PostgreSQL see that `stranger` in a stale postmaster.pid is not its predecessor.

        It trusts a file that names its own parent to be stale, and then still checks the shared
        memory that the file names; without the file it could not.
        """
        path = self.layout.cluster / "postmaster.pid"
        pid, newline, rest = path.read_bytes().partition(b"\n")
        if pid == b"%d" % stranger:
            write_atomically(path, b"%d%b%b" % (os.getpid(), newline, rest))

    def _create(self) -> None:
        new = self.layout.folder / f"cluster.new-{os.getpid()}"
        try:
            new.mkdir(mode=0o700)
            os.chown(new, self.rights.owner, -1)
            self._run("initdb", *initdb_options(new, self.binaries.version))
            # Single-user mode would hand out ids below this, which pg_dump and pg_upgrade take for
            # PostgreSQL's own: a dump would come without the extension.
            self._run("pg_resetwal", "-o", str(FIRST_NORMAL_OID), "-D", str(new))
            (new / "pg_hba.conf").write_text(HBA, encoding="ascii")
            self._single_user(new, "postgres", SERVER_STATEMENTS)
            self._single_user(new, "mahavishnu", DATABASE_STATEMENTS)
            self._record_vector(new)
            new.rename(self.layout.cluster)
            sync_folder(self.layout.folder)
        finally:
            shutil.rmtree(new, ignore_errors=True)  # unless it has got its name

    def _check_version(self) -> None:
        try:
            text = (self.layout.cluster / "PG_VERSION").read_text(encoding="ascii").strip()
        except FileNotFoundError as error:
            raise Corrupt(
                f"{self.layout.cluster} is not a PostgreSQL data directory.",
                hint="Move the folder away and restore a backup.",
                code="database.cluster_damaged",
            ) from error
        if text != str(self.binaries.version):
            raise Conflict(
                f"The embedded database was made by PostgreSQL {text};"
                f" the installed programs are version {self.binaries.version}.",
                hint=f"Set postgresql.binaries to a PostgreSQL {text}, make a backup with it,"
                " move the folder away and restore.",
                code="database.cluster_version",
            )

    def _take_ownership(self) -> None:
        """Give the cluster to `rights.owner`, where root's former way to run it left another."""
        cluster, owner = self.layout.cluster, self.rights.owner
        found = cluster.stat().st_uid
        if found == owner:
            return
        if os.geteuid() != 0 or found not in {0, NOBODY}:
            raise Forbidden(
                f"The embedded database in {cluster} belongs to another user.",
                hint="Run as that user.",
                code="database.not_writable",
            )
        for _, folders, files, folder in os.fwalk(cluster, follow_symlinks=False):
            for name in (*folders, *files):
                os.chown(name, owner, -1, dir_fd=folder, follow_symlinks=False)
        os.chown(cluster, owner, -1)  # last: an interrupted walk is begun again

    def _update_vector(self) -> None:
        try:
            recorded = (self.layout.cluster / VECTOR_RECORD).read_text(encoding="ascii").strip()
        except FileNotFoundError:
            recorded = "0"
        if version_key(self.binaries.vector_version) <= version_key(recorded):
            return
        self._single_user(self.layout.cluster, "mahavishnu", UPDATE_STATEMENTS)
        self._record_vector(self.layout.cluster)

    def _record_vector(self, cluster: Path) -> None:
        path = cluster / VECTOR_RECORD
        write_atomically(path, f"{self.binaries.vector_version}\n".encode())
        os.chown(path, self.rights.owner, -1)

    def _single_user(self, cluster: Path, database: str, statements: str) -> None:
        # One statement a line; an error ends the session with a status.
        options = ("--single", "-D", str(cluster), "-c", "exit_on_error=on", database)
        self._run("postgres", *options, text=statements)

    def _run(self, program: str, *options: str, text: str = "") -> None:
        done = subprocess.run(
            [self.binaries.require(program), *options],
            env=self.environment(),
            input=text.encode(),
            stdout=subprocess.DEVNULL,
            preexec_fn=prepare_child(self.rights, signal.SIGKILL),
            cwd=self.layout.folder,
            check=False,
        )
        if done.returncode:
            require_space(self.layout.folder)
            raise Unavailable(
                f"The embedded database could not be prepared ({program}: {done.returncode}).",
                hint=f"The reason is in {self.layout.keeper_log}",
                code="database.initdb_failed",
            )


def initdb_options(cluster: Path, version: int) -> list[str]:
    """
    Return initdb's arguments: UTF-8, sorted by code point, alike on every system, checksums.

    It must not clean up after a failure: whether the disk was full is asked first.
    """
    options = ["-D", str(cluster), "-U", "postgres", "--auth=trust", "--data-checksums"]
    options += ["--no-clean"]
    options += ["-E", "UTF8", "--locale=C", f"--lc-ctype={ctype_locale()}"]
    if version >= 17:
        options += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    return options


def ctype_locale() -> str:
    """Return a locale whose character classes know UTF-8: full-text search splits words by them."""
    before = locale.setlocale(locale.LC_CTYPE)
    try:
        for name in ("C.UTF-8", "en_US.UTF-8"):
            with contextlib.suppress(locale.Error):
                return locale.setlocale(locale.LC_CTYPE, name)
        return "C"
    finally:
        locale.setlocale(locale.LC_CTYPE, before)


def shared_memory() -> str:
    """Return the kind of shared memory for parallel work: files, where /dev/shm is small."""
    if sys.platform != "linux":
        return "posix"
    try:
        room = os.statvfs("/dev/shm")  # noqa: S108 - asked for its size only
    except OSError:
        return "mmap"
    return "posix" if room.f_bavail * room.f_frsize >= SHARED_MEMORY_BYTES else "mmap"


def version_key(version: str) -> tuple[int, ...]:
    """Return the numbers of a dotted version, for comparison."""
    return tuple(int(part) for part in version.split(".") if part.isdecimal())
