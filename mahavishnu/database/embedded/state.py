"""
What the keeper of the embedded PostgreSQL and its users tell each other, through files.

`lease` is locked shared by every user, `keeper.lock` is held by the keeper and names it, `failure`
says why the last keeper gave up. Standard library only, as all that the keeper imports.
"""

import contextlib
import errno
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from mahavishnu.base.errors import Forbidden, MahavishnuError, Unavailable, tell, untell
from mahavishnu.base.files import FULL, write_atomically
from mahavishnu.base.processes import ProcessIdentity

KEPT_BY_ANOTHER = 3  # the exit status of a keeper that found another one
PORT = 5432
SOCKET = f".s.PGSQL.{PORT}"
RECORD_BYTES = 512
WAL_SEGMENT_BYTES = 16 * 1024 * 1024
# What reading JSON, and taking it for a shape that it has not, can raise.
GARBAGE = (ValueError, KeyError, TypeError, OverflowError, RecursionError)


@dataclass(frozen=True)
class Layout:
    """The names inside the folder of the embedded PostgreSQL."""

    folder: Path

    @property
    def cluster(self) -> Path:
        """PostgreSQL's data directory."""
        return self.folder / "cluster"

    @property
    def lease(self) -> Path:
        """Locked shared by each user for as long as it needs the server."""
        return self.folder / "lease"

    @property
    def keeper_lock(self) -> Path:
        """Locked by the keeper; holds its `KeeperRecord`."""
        return self.folder / "keeper.lock"

    @property
    def failure(self) -> Path:
        """Why the last keeper gave up; absent while one runs."""
        return self.folder / "failure"

    @property
    def keeper_log(self) -> Path:
        """What the keeper, initdb and single-user mode print."""
        return self.folder / "keeper.log"

    @property
    def server_log(self) -> Path:
        """PostgreSQL's log."""
        return self.folder / "postgres.log"


@dataclass(frozen=True)
class KeeperRecord:
    """The keeper, what it is doing, and the postmaster it owns. A dead keeper's record stays."""

    keeper: ProcessIdentity
    stage: str
    postmaster: ProcessIdentity | None = None

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """Return the record in `path`; None where there is none, or it is no whole one."""
        try:
            fields = json.loads(path.read_bytes())
            postmaster = fields["postmaster"]
            return cls(
                keeper=_read_identity(fields["keeper"]),
                stage=fields["stage"],
                postmaster=_read_identity(postmaster) if postmaster else None,
            )
        except (FileNotFoundError, *GARBAGE):
            return None

    def write(self, descriptor: int) -> None:
        """Put the record into the locked file, in one write of constant length, and nothing else."""
        owned = self.postmaster
        text = json.dumps(
            {
                "keeper": [self.keeper.pid, self.keeper.started],
                "stage": self.stage,
                "postmaster": [owned.pid, owned.started] if owned else None,
            }
        )
        os.pwrite(descriptor, text.encode().ljust(RECORD_BYTES - 1) + b"\n", 0)
        if os.fstat(descriptor).st_size > RECORD_BYTES:
            os.ftruncate(descriptor, RECORD_BYTES)


@dataclass(frozen=True)
class PostmasterFile:
    """What `postmaster.pid` says: line 1, 5 and 8."""

    pid: int
    socket_folder: Path
    status: str

    @classmethod
    def read(cls, cluster: Path) -> Self | None:
        """Return what the file says; None where it is absent or not yet complete."""
        try:
            lines = os.fsdecode((cluster / "postmaster.pid").read_bytes()).split("\n")
            return cls(int(lines[0]), Path(lines[4]), lines[7].strip())
        except (FileNotFoundError, NotADirectoryError, ValueError, IndexError):
            return None

    @property
    def has_socket(self) -> bool:
        """Whether the socket can be seen; whether somebody listens is not asked."""
        return (self.socket_folder / SOCKET).exists()

    def is_ready(self, postmaster: ProcessIdentity) -> bool:
        """Tell whether `postmaster` wrote it, and takes connections."""
        return self.pid == postmaster.pid and self.status == "ready"


def _read_identity(fields: list[object]) -> ProcessIdentity:
    pid, started = fields
    if not isinstance(pid, int) or not isinstance(started, str):
        raise TypeError("not a process")
    return ProcessIdentity(pid, started)


def write_failure(path: Path, error: MahavishnuError, keeper: ProcessIdentity) -> None:
    """Leave `error` for the users; each keeper's text is different from every other's."""
    fields = {**tell(error), "keeper": [keeper.pid, keeper.started]}
    write_atomically(path, json.dumps(fields).encode())


def read_failure(path: Path) -> str | None:
    """Return the text of the last failure, to be compared or parsed; None where there is none."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None


def parse_failure(text: str) -> MahavishnuError:
    """Return the error that the keeper left, or one that says that it cannot be read."""
    try:
        return untell(json.loads(text))
    except GARBAGE:
        return Unavailable(
            "The keeper of the embedded PostgreSQL failed, and what it left about it is damaged.",
            hint="Try again; see keeper.log beside the database.",
            code="database.keeper_failed",
        )


def require_space(folder: Path) -> None:
    """
    Raise Unavailable `database.disk_full` unless one more WAL segment fits into `folder`.

    Asks by allocating, which also meets quotas and limits that a count of free blocks does not.
    """
    with translated_os_errors(folder), tempfile.TemporaryFile(dir=folder) as probe:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(probe.fileno(), 0, WAL_SEGMENT_BYTES)
        else:
            probe.write(bytes(WAL_SEGMENT_BYTES))
            probe.flush()


@contextlib.contextmanager
def translated_os_errors(folder: Path) -> Iterator[None]:
    """Raise an OSError from the block as ours; `folder` is what the message names."""
    try:
        yield
    except OSError as error:
        raise translate_os_error(error, folder) from error


def translate_os_error(error: OSError, folder: Path) -> MahavishnuError:
    """Return our error for a failed operation on the folder of the embedded PostgreSQL."""
    if error.errno in FULL:
        return Unavailable(
            f"The disk of {folder} is full, or this user's share of it.",
            hint="Free some space and try again.",
            code="database.disk_full",
        )
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return Forbidden(
            f"The embedded PostgreSQL cannot be written to: {error.filename or folder}",
            hint="Check the owner and the rights of the folder.",
            code="database.not_writable",
        )
    return Unavailable(
        f"The embedded PostgreSQL met an error of the operating system in {folder}:"
        f" {error.strerror or type(error).__name__}.",
        code="database.system",
    )
