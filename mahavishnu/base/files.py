"""Write a file so that a crash leaves the old or the new text, never half of one; file digests."""

import contextlib
import ctypes
import errno
import hashlib
import os
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import BinaryIO

# What a write fails with where there is no more room, or no more for this user or process.
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_SWAP = 2  # RENAME_EXCHANGE of Linux, RENAME_SWAP of macOS
_HERE = -100  # AT_FDCWD: relative paths mean the working directory


def write_atomically(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """
    Replace `path` by `content`: temporary file beside it, fsync, rename, fsync of the folder.

    A symbolic link is followed and kept. On any failure the old file stays as it was.
    """
    target = path.resolve()
    with staged(target, content, mode=mode) as temporary:
        temporary.replace(target)
    sync_folder(target.parent)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Give a stream to what `path` becomes when the block ends, for its owner alone; as `write_atomically`."""
    target = path.resolve()
    with staged(target, b"", mode=0o600) as temporary:
        with temporary.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(target)
    sync_folder(target.parent)


@contextlib.contextmanager
def staged(
    target: Path, content: bytes, *, mode: int, group: int | None = None, prefix: str | None = None
) -> Iterator[Path]:
    """
    Give a durable file of this content in the folder of `target`, to be renamed in the block.

    Whatever has its name at the end of the block is removed. `group` keeps the creator's where None.
    """
    descriptor, name = tempfile.mkstemp(prefix=prefix or f".{target.name}.", dir=target.parent)
    temporary = Path(name)
    try:
        try:
            _write(descriptor, content)
            if group is not None and os.fstat(descriptor).st_gid != group:
                os.fchown(descriptor, -1, group)
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def _write(descriptor: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]


def exchange(one: Path, other: Path) -> None:
    """
    Let the files of two names change places, in one step.

    Raises:
        OSError: with ENOSYS, EINVAL or ENOTSUP where system or file system cannot do that.
    """
    libc = _libc()
    names = os.fsencode(one), os.fsencode(other)
    try:
        if sys.platform == "darwin":
            failed = libc.renamex_np(*names, _SWAP)
        else:
            failed = libc.renameat2(_HERE, names[0], _HERE, names[1], _SWAP)
    except AttributeError as error:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), str(one)) from error
    if failed:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(one), None, str(other))


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def sync_folder(folder: Path) -> None:
    """Make renames and new names inside `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def digest_file(path: Path) -> str:
    """Return the SHA-256 of the file at `path`, in hex, read in bounded pieces."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
