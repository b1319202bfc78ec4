"""
The file in which writes wait: SQLite, 0600, on the disk before a write is acknowledged.

Any number of processes may use it at once. Nothing is kept open in between, nor is SQLite loaded before there
is a spool: while nothing ever waited, it costs one look at the name of the file.
"""

import contextlib
import fcntl
import os
import shutil
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from mahavishnu.base.errors import Conflict, Corrupt, Unavailable
from mahavishnu.base.files import sync_folder
from mahavishnu.base.logs import get_logger
from mahavishnu.base.paths import private_folder

if TYPE_CHECKING:
    import sqlite3

NAME = "spool.sqlite3"
VERSION = 1
BUSY_S = 15.0
BATCH_BYTES = 1024 * 1024  # what is stored together, and held in memory
RESERVE_BYTES = 64 * 1024 * 1024  # of the disk, which an embedded server needs to be read at all
_SCHEMA = f"""
CREATE TABLE entries (
    number      INTEGER PRIMARY KEY AUTOINCREMENT,
    id          BLOB NOT NULL UNIQUE,
    kind        TEXT NOT NULL,
    database    TEXT NOT NULL,
    body        BLOB NOT NULL,
    spooled_at  TEXT NOT NULL,
    code        TEXT,
    message     TEXT
) STRICT;
CREATE INDEX entries_waiting ON entries (database, number) WHERE code IS NULL;
PRAGMA user_version = {VERSION}
"""
_COLUMNS = "id, kind, database, body, spooled_at, number, code, message"
_log = get_logger(__name__)


@dataclass(frozen=True)
class SpoolEntry:
    """
    One write that waits for `database`.

    `number` is its place in the order of this machine, 0 before it has one. `problem` is the code and the
    message with which the database refused it for good.
    """

    id: UUID
    kind: str
    database: str
    body: bytes
    spooled_at: datetime
    number: int = 0
    problem: tuple[str, str] | None = None


@dataclass(frozen=True)
class Waiting:
    """What waits for one database: writes, besides them those that it refused, both by kind, and since when."""

    database: str
    count: int
    refused: int
    since: datetime
    kinds: Mapping[str, int]


class SpoolFile:
    """
    The spool of one data folder.

    Every method raises `Unavailable` (`spool.not_writable`, `spool.busy`) where the disk or another process is in
    the way, `Corrupt` (`spool.damaged`) where the file is not ours any more, and `Conflict` (`spool.newer`)
    where a later release wrote it.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME

    @property
    def is_there(self) -> bool:
        """Whether anything ever waited here."""
        return self.path.exists()

    def append(self, entries: Sequence[SpoolEntry]) -> None:
        """
        Keep writes, all or none; they are on the disk when this returns.

        Raises:
            Conflict: `memory.id_taken`, a write with one of the ids waits already.
        """
        with self._opened(make=True) as connection:
            kept = connection.executemany(
                "INSERT INTO entries (id, kind, database, body, spooled_at) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT (id) DO NOTHING",
                [
                    (each.id.bytes, each.kind, each.database, each.body, each.spooled_at.isoformat())
                    for each in entries
                ],
            ).rowcount  # fmt: skip
            if kept < len(entries):
                raise Conflict(
                    "A write with this id waits in the spool already.",
                    hint="Leave the id out, and a new one is made.",
                    code="memory.id_taken",
                )

    def append_anew(self, entries: Sequence[SpoolEntry]) -> None:
        """
        Append where the file was found damaged: it is put aside, and nothing of it deleted.

        Of several who found it so the first one does that; the others write to what that one has made.
        """
        with self._lock("aside", wait=True):
            try:
                self.append(entries)
                return
            except Corrupt:
                aside = self.path.with_name(f"{NAME}.damaged-{time.time_ns() // 1_000_000}")
            _log.error("spool_damaged", aside=str(aside))
            with self._translated():
                for suffix in ("", "-journal"):
                    with contextlib.suppress(FileNotFoundError):
                        Path(f"{self.path}{suffix}").rename(f"{aside}{suffix}")
                sync_folder(self.path.parent)
            self.append(entries)

    def read(self, database: str, *, limit: int) -> list[SpoolEntry]:
        """Return the first writes that wait for a database, in order; of large ones fewer."""
        return self._select(
            "database = ? AND code IS NULL", database, limit, most_bytes=BATCH_BYTES
        )

    def list_refused(self, *, limit: int) -> list[SpoolEntry]:
        """Return the first writes that a database refused."""
        return self._select("code IS NOT NULL", limit)

    def has_waiting(self, database: str) -> bool:
        """Tell whether any waits for a database, and was not refused."""
        return bool(self._select("database = ? AND code IS NULL", database, 1))

    def count(self) -> list[Waiting]:
        """Return what waits, by database."""
        if not self.is_there:
            return []
        with self._opened() as connection:
            rows = connection.execute(
                "SELECT database, count(*) - count(code), count(code), min(spooled_at) FROM entries"
                " GROUP BY database ORDER BY database"
            ).fetchall()
            kinds = connection.execute(
                "SELECT database, kind, count(*) FROM entries GROUP BY database, kind ORDER BY kind"
            ).fetchall()
        return [
            Waiting(name, count, refused, datetime.fromisoformat(since),
                    {kind: many for where, kind, many in kinds if where == name})
            for name, count, refused, since in rows
        ]  # fmt: skip

    def total(self) -> int:
        """Return how many writes wait, for whatever database, refused ones too."""
        return sum(each.count + each.refused for each in self.count())

    def list_damaged(self) -> list[Path]:
        """Return the files that were put aside because they were damaged."""
        return sorted(self.path.parent.glob(f"{NAME}.damaged-*[0-9]"))

    def remove(self, entries: Sequence[SpoolEntry]) -> None:
        """Take out writes that are stored."""
        numbers = [(each.number,) for each in entries]
        self._change("DELETE FROM entries WHERE number = ?", numbers)

    def refuse(self, entry: SpoolEntry, code: str, message: str) -> None:
        """Note that the database refused a write for good; it is out of the way of the others."""
        statement = "UPDATE entries SET code = ?, message = ? WHERE number = ?"
        self._change(statement, [(code, message, entry.number)])

    def retry(self, database: str) -> None:
        """Let all that a database refused wait again, in their old places."""
        statement = "UPDATE entries SET code = NULL, message = NULL WHERE database = ?"
        self._change(statement, [(database,)])

    def redirect(self, old: str, new: str) -> None:
        """Let what waits for one database wait for another."""
        self._change("UPDATE entries SET database = ? WHERE database = ?", [(new, old)])

    @contextlib.contextmanager
    def turn(self) -> Iterator[bool]:
        """Give whether this process is the one that stores what waits, until the end of the block."""
        with self._lock("lock", wait=False) as held:
            yield held

    @contextlib.contextmanager
    def _lock(self, suffix: str, *, wait: bool) -> Iterator[bool]:
        path = self.path.with_suffix(f".{suffix}")
        with self._translated():
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
                held = True
            except BlockingIOError:
                held = False
            yield held
        finally:
            os.close(descriptor)

    def _select(
        self, condition: str, *values: str | int, most_bytes: int | None = None
    ) -> list[SpoolEntry]:
        """Return the entries of a condition in order; the last value is how many at most."""
        found: list[SpoolEntry] = []
        if not self.is_there:
            return found
        size = 0
        with self._opened() as connection:
            for row in connection.execute(
                f"SELECT {_COLUMNS} FROM entries WHERE {condition} ORDER BY number LIMIT ?", values
            ):
                entry = _entry(*row)
                size += len(entry.body)
                if found and most_bytes is not None and size > most_bytes:
                    break
                found.append(entry)
        return found

    def _change(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
        if self.is_there:
            with self._opened() as connection:
                connection.executemany(statement, rows)

    @contextlib.contextmanager
    def _opened(self, *, make: bool = False) -> "Iterator[sqlite3.Connection]":
        """Give a connection in one transaction, which is on the disk at the end of the block, or never was."""
        import sqlite3  # noqa: PLC0415 - seldom

        with self._translated():
            if make:
                self._make()
            self._close_to_others()
            connection = sqlite3.connect(
                f"{self.path.absolute().as_uri()}?mode=rw", uri=True, timeout=BUSY_S,
                isolation_level=None,
            )  # fmt: skip
            with contextlib.closing(connection):
                # EXTRA: the removal of the journal, which ends a transaction, is on the disk too.
                connection.execute("PRAGMA synchronous = EXTRA")
                connection.execute("BEGIN IMMEDIATE")
                [version] = connection.execute("PRAGMA user_version").fetchone()
                if version > VERSION:
                    raise Conflict(
                        f"A later release has written {self.path}.",
                        hint="Upgrade Mahavishnu on this machine.",
                        code="spool.newer",
                    )
                for statement in _SCHEMA.split(";") if version == 0 else ():
                    connection.execute(statement)
                yield connection  # what is raised in the block ends the connection before the commit
                connection.execute("COMMIT")

    def _make(self) -> None:
        """Make the file for its owner alone, before SQLite would with the rights of all new files."""
        folder = private_folder(self.path.parent)
        if folder.stat().st_uid != os.geteuid():  # root's file would shut its user out
            raise self._not_writable("the folder belongs to another user")
        if shutil.disk_usage(folder).free < RESERVE_BYTES:
            raise self._not_writable("less than 64 MiB are free on its disk")
        with contextlib.suppress(FileExistsError):
            os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            sync_folder(folder)

    def _close_to_others(self) -> None:
        """Take away what others may do with the file, and with the journal of a process that was killed."""
        for path in (self.path, Path(f"{self.path}-journal")):
            with contextlib.suppress(FileNotFoundError):
                if stat.S_IMODE(path.stat().st_mode) & 0o077:
                    path.chmod(0o600)

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        """Raise what SQLite and the system say as ours."""
        import sqlite3  # noqa: PLC0415 - seldom

        try:
            yield
        except sqlite3.Error as error:
            name = getattr(error, "sqlite_errorname", "")
            if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
                raise Corrupt(
                    f"{self.path} is damaged, and with it what waits there.",
                    hint="Keep a copy; what can be read of it: sqlite3 FILE .recover. Then move it away.",
                    code="spool.damaged",
                ) from error
            if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
                raise Unavailable(
                    f"Other processes held the spool for {BUSY_S:g} s.",
                    hint="Try again.",
                    code="spool.busy",
                ) from error
            raise self._not_writable(str(error)) from error
        except OSError as error:
            raise self._not_writable(error.strerror or type(error).__name__) from error

    def _not_writable(self, why: str) -> Unavailable:
        return Unavailable(
            f"{self.path} cannot be used: {why}.",
            hint="Free some space, or give the folder back to its owner; what waits in it is kept.",
            code="spool.not_writable",
        )


def _entry(
    identifier: bytes, kind: str, database: str, body: bytes, spooled_at: str, number: int,
    code: str | None, message: str | None,
) -> SpoolEntry:  # fmt: skip
    problem = None if code is None else (code, message or "")
    moment = datetime.fromisoformat(spooled_at)
    return SpoolEntry(UUID(bytes=identifier), kind, database, body, moment, number, problem)
