"""Backup sets in a folder of this machine: each a folder with files, for its owner alone."""

import contextlib
import errno
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from io import FileIO
from pathlib import Path

from mahavishnu.base.errors import Forbidden, MahavishnuError, Unavailable
from mahavishnu.base.files import FULL, sync_folder, write_atomically
from mahavishnu.base.paths import private_folder
from mahavishnu.database.backup.storage.port import (
    Draft,
    PartWriter,
    Reader,
    StoredSet,
    Unfinished,
    busy,
    in_use,
    name_set,
    parse_set,
)

MAKING = ".making-"
DELETING = ".deleting-"
LOCK = "lock"


@dataclass(frozen=True)
class _File:
    """A part that is written to or read from a file, with errors of ours."""

    root: Path
    file: FileIO

    def write(self, data: bytes, /) -> int:
        with _translated(self.root):
            left = memoryview(data)
            while left:  # on a full disk a single write may take a part and succeed
                left = left[self.file.write(left) :]
        return len(data)

    def read(self, size: int = -1, /) -> bytes:
        with _translated(self.root):
            return self.file.read(size)


@dataclass(frozen=True)
class _FolderDraft:
    """A set in the making, in a folder of its own beside the finished ones."""

    root: Path
    folder: Path
    token: str

    @contextlib.contextmanager
    def create(self, name: str) -> Iterator[PartWriter]:
        with _translated(self.root):
            path = self.folder / name
            file = FileIO(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w")
        with file:
            yield _File(self.root, file)
            with _translated(self.root):
                os.fsync(file.fileno())

    def publish(self, created_at: datetime) -> StoredSet:
        with _translated(self.root):
            sync_folder(self.folder)
            newest = max((each.number for each in _finished(self.root)), default=0)
            stored = name_set(newest + 1, created_at, self.token)
            self.folder.rename(self.root / stored.name)
            sync_folder(self.root)
        return stored


class LocalFolder:
    """A place for sets that lets go of its locks when a process ends, however that ends."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def shares_disk(self, folder: Path | None) -> bool:
        if folder is None:
            return False
        with _translated(self.root):
            existing = next(path for path in (self.root, *self.root.parents) if path.exists())
            return existing.stat().st_dev == folder.stat().st_dev

    @contextlib.contextmanager
    def begin(self) -> Iterator[Draft]:
        with _translated(self.root):
            private_folder(self.root)
            _require_own(self.root)
        with self._changing():
            self._remove_leftovers()
            token = secrets.token_hex(4)
            folder = self.root / f"{MAKING}{token}"
            with _translated(self.root):
                folder.mkdir(mode=0o700)
            try:
                # Tells who looks that its maker lives.
                with _locked(folder, fcntl.LOCK_EX, wait=True):
                    yield _FolderDraft(self.root, folder, token)
            finally:
                shutil.rmtree(folder, ignore_errors=True)  # unless it has got its name

    def find(self) -> list[StoredSet]:
        with _translated(self.root):
            return sorted(_finished(self.root))

    def find_unfinished(self) -> list[Unfinished]:
        found = []
        with _translated(self.root):
            for folder in _leftovers(self.root):
                with _locked(folder, fcntl.LOCK_EX) as free, contextlib.suppress(OSError):
                    size = sum(path.stat().st_size for path in folder.iterdir())
                    found.append(Unfinished(folder.name.rpartition("-")[2], not free, size))
        return found

    def clean(self) -> int:
        with _translated(self.root):
            if not _leftovers(self.root):
                return 0
        with self._changing():
            return self._remove_leftovers()

    def names(self, stored: StoredSet) -> dict[str, int]:
        with _translated(self.root):
            return {
                path.name: path.stat().st_size
                for path in (self.root / stored.name).iterdir()
                if path.is_file() and not path.name.startswith(".")
            }

    @contextlib.contextmanager
    def open(self, stored: StoredSet, name: str) -> Iterator[Reader]:
        with _translated(self.root):
            file = FileIO(self.root / stored.name / name)
        with file:
            yield _File(self.root, file)

    def read_note(self, stored: StoredSet, name: str) -> bytes | None:
        with _translated(self.root):
            try:
                return (self.root / stored.name / name).read_bytes()
            except FileNotFoundError:
                return None

    def write_note(self, stored: StoredSet, name: str, content: bytes) -> None:
        with _translated(self.root):
            write_atomically(self.root / stored.name / name, content)

    @contextlib.contextmanager
    def use(self, stored: StoredSet) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            with _translated(self.root):
                free = stack.enter_context(_locked(self.root / stored.name, fcntl.LOCK_SH))
            if not free:
                raise in_use(stored)
            yield

    def delete(self, stored: StoredSet) -> None:
        folder = self.root / stored.name
        with self._changing(), _translated(self.root), _locked(folder, fcntl.LOCK_EX) as free:
            if not free:
                raise in_use(stored)
            deleting = self.root / f"{DELETING}{stored.token}"
            folder.rename(deleting)
            sync_folder(self.root)
            shutil.rmtree(deleting)

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        """Be the only one that makes or deletes sets during the block."""
        with contextlib.ExitStack() as stack:
            with _translated(self.root):
                os.close(os.open(self.root / LOCK, os.O_RDWR | os.O_CREAT, 0o600))
                free = stack.enter_context(_locked(self.root / LOCK, fcntl.LOCK_EX))
            if not free:
                raise busy(str(self.root))
            yield

    def _remove_leftovers(self) -> int:
        with _translated(self.root):
            leftovers = _leftovers(self.root)
            for folder in leftovers:
                shutil.rmtree(folder, ignore_errors=True)
        return len(leftovers)


def explain_os_error(error: OSError, root: Path | None) -> MahavishnuError:
    """Return our error for what the operating system said about a folder of backups."""
    place = root or error.filename or "the backup"
    if error.errno in FULL:
        return Unavailable(
            f"The disk of {place} is full, or this user's share of it; nothing was changed.",
            hint="Free some space, for example with mahavishnu backup prune, and try again.",
            code="backup.disk_full",
        )
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return Forbidden(
            f"{error.filename or place} cannot be used ({error.strerror}).",
            hint="Check the owner and the rights of the folder, or set backup.store.",
            code="backup.folder",
        )
    return Unavailable(
        f"{error.filename or place} cannot be used ({error.strerror or type(error).__name__}).",
        hint="Check that backup.store is a folder, and what is in it: mahavishnu backup list",
        code="backup.storage",
    )


def _finished(root: Path) -> list[StoredSet]:
    found = [parse_set(path.name) for path in _inside(root) if path.is_dir()]
    return [each for each in found if each is not None]


def _leftovers(root: Path) -> list[Path]:
    return [path for path in sorted(_inside(root)) if path.name.startswith((MAKING, DELETING))]


def _inside(root: Path) -> list[Path]:
    """Return what is in a folder; nothing where there is none, and an error where it cannot be read."""
    try:
        return list(root.iterdir())
    except FileNotFoundError:
        return []


@contextlib.contextmanager
def _locked(path: Path, kind: int, *, wait: bool = False) -> Iterator[bool]:
    """Give whether this took the lock, which the block then holds; a dead holder has none."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        yield False
        return
    try:
        try:
            fcntl.flock(descriptor, kind | (0 if wait else fcntl.LOCK_NB))
            # Whoever was quicker may have moved it away, and another one may have its name.
            free = path.exists() and os.path.samestat(os.fstat(descriptor), path.stat())
        except BlockingIOError:
            free = False
        yield free
    finally:
        os.close(descriptor)


def _require_own(root: Path) -> None:
    if root.stat().st_uid != os.geteuid():
        raise Forbidden(
            f"The folder of backups {root} belongs to another user.",
            hint="Run as that user, or set backup.store to a folder of your own.",
            code="backup.folder",
        )


@contextlib.contextmanager
def _translated(root: Path) -> Iterator[None]:
    """Raise an OSError of the block as ours."""
    try:
        yield
    except OSError as error:
        raise explain_os_error(error, root) from error
