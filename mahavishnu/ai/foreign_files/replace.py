"""
Look at another program's file, and put another text in its place unless it has changed meanwhile.

The two files change places in one step, and only then the old one is looked at: what a program wrote
into it, or put in its place, up to that very moment is seen, and put back. A plain rename would
bury it.
"""

import contextlib
import errno
import os
import stat
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from mahavishnu.base import files
from mahavishnu.base.errors import Forbidden, UsageError
from mahavishnu.base.processes import process_start_time

MAX_BYTES = 64 * 1024 * 1024
PIECE_BYTES = 1024 * 1024
_ACCESS_LIST = "system.posix_acl_access"
_NO_EXCHANGE = {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP}


@dataclass(frozen=True)
class Snapshot:
    """
    A file as it was at one moment; `content` is None where there was none.

    `stamp` is inode, size and time of the last write in ns: where it differs, so does the file.
    """

    content: bytes | None
    mode: int = 0o600
    group: int | None = None
    stamp: tuple[int, int, int] = (0, 0, 0)

    @property
    def changed(self) -> float:
        """When it was last written, in seconds since the epoch."""
        return self.stamp[2] / 1e9


def look(target: Path) -> Snapshot:
    """
    Read a file that can be replaced.

    Raises:
        UsageError: `ai_files.not_a_file` for a folder, a pipe or a device, `ai_files.too_large`.
        Forbidden: `ai_files.foreign_owner`, `ai_files.write_protected`.
    """
    try:
        status = target.stat()
        _check(target, status)
        descriptor = os.open(target, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return Snapshot(None)
    try:
        status = os.fstat(descriptor)
        _check(target, status)
        pieces = []
        while piece := os.read(descriptor, PIECE_BYTES):
            pieces.append(piece)
    finally:
        os.close(descriptor)
    mode = stat.S_IMODE(status.st_mode)
    return Snapshot(b"".join(pieces), mode, status.st_gid, _stamp(status))


def _stamp(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_ino, status.st_size, status.st_mtime_ns


def _check(target: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise UsageError(
            f"{target} is not a file.",
            hint="Move away what has this name.",
            code="ai_files.not_a_file",
        )
    if status.st_uid != os.geteuid():
        raise Forbidden(
            f"{target} belongs to another user.",
            hint="Run this as the user whose file it is.",
            code="ai_files.foreign_owner",
        )
    if not status.st_mode & stat.S_IWUSR:
        raise Forbidden(
            f"{target} is write-protected.",
            hint="Give yourself the right to write it, if it may be changed.",
            code="ai_files.write_protected",
        )
    if status.st_size > MAX_BYTES:
        raise UsageError(
            f"{target} is larger than {MAX_BYTES // 1024**2} MiB, which no settings file is.",
            code="ai_files.too_large",
        )


def put(
    target: Path, seen: Snapshot, content: bytes, *, settle_s: float = 0.0, private: bool = False
) -> bool:
    """
    Replace the file that was `seen`; False, and nothing of ours there, where it is no longer that one.

    A program that had opened the old file may still write into it: it is kept for `settle_s`, and put
    back where it changed. With `private` nobody but the owner can read the new one.

    While another program's last text is being put back, for a moment, that program may read ours, and
    write back what lacks its own last change: the limit of what can be done without a lock of both.
    """
    prefix = f"{_prefix(target)}{os.getpid()}-"
    mode = seen.mode & 0o700 if private else seen.mode
    with files.staged(target, content, mode=mode, group=seen.group, prefix=prefix) as temporary:
        if look(target) != seen:
            return False
        _keep_attributes(target, temporary, access=not private)
        ours = _stamp(temporary.stat())
        try:
            if not _appear(temporary, target, seen):
                return False
        except (FileExistsError, FileNotFoundError):
            return False
        files.sync_folder(target.parent)
        time.sleep(settle_s)
        return seen.content is None or not _put_late_write_back(temporary, target, seen, ours)


def discard(target: Path, seen: Snapshot) -> bool:
    """Remove the file that was `seen`; False, and it is where it was, where it is no longer that one."""
    if look(target) != seen:
        return False
    aside = target.with_name(f"{_prefix(target)}{os.getpid()}-gone")
    try:
        target.replace(aside)
    except FileNotFoundError:
        return False
    same = False
    try:
        same = _stamp(aside.stat()) == seen.stamp and aside.read_bytes() == seen.content
    finally:
        if not same:
            with contextlib.suppress(FileExistsError):  # else what is there now is newer
                target.hardlink_to(aside)
        aside.unlink()
    files.sync_folder(target.parent)
    return same


def _keep_attributes(source: Path, target: Path, *, access: bool) -> None:
    """Give a file the labels, and with `access` the access list, of another, as far as the system lets us."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            for name in os.listxattr(source):
                if name == _ACCESS_LIST and not access:
                    continue
                with contextlib.suppress(OSError):
                    os.setxattr(target, name, os.getxattr(source, name))


def _appear(temporary: Path, target: Path, seen: Snapshot) -> bool:
    if seen.content is None:
        target.hardlink_to(temporary)
        return True
    placed = _stamp(temporary.stat())
    _swap(temporary, target)
    # The stamp first: it is quick, and while another's text is out of its place that may be read.
    if _stamp(temporary.stat()) == seen.stamp and temporary.read_bytes() == seen.content:
        return True
    _give_back(temporary, target, placed)
    return False


def _put_late_write_back(
    temporary: Path, target: Path, seen: Snapshot, ours: tuple[int, int, int]
) -> bool:
    """Put the old file back if it was written to after we took it away, and ours was left alone since."""
    if _stamp(temporary.stat()) == seen.stamp:
        return False
    try:
        if _stamp(target.stat()) != ours:
            return False
        _give_back(temporary, target, ours)
    except FileNotFoundError:
        return False
    return True


def _give_back(temporary: Path, target: Path, placed: tuple[int, int, int]) -> None:
    """Put what was taken back in the place of what was `placed`; what came meanwhile is newer still."""
    while True:
        taken = _stamp(temporary.stat())
        _swap(temporary, target)
        came = _stamp(temporary.stat())
        if came == placed:
            return
        placed = taken


def _swap(temporary: Path, target: Path) -> None:
    """Let both change places; where the file system has no such step, in three."""
    try:
        files.exchange(temporary, target)
    except OSError as error:
        if error.errno not in _NO_EXCHANGE:
            raise
        aside = temporary.with_name(f"{temporary.name}~")
        aside.hardlink_to(target)
        try:
            temporary.replace(target)
            aside.replace(temporary)
        finally:
            aside.unlink(missing_ok=True)


def sweep(target: Path) -> None:
    """Remove what a process of ours that was killed left beside `target`; its lock must be held."""
    with contextlib.suppress(FileNotFoundError):
        for path in target.parent.iterdir():
            name = path.name
            if name.startswith(_prefix(target)) and _is_stale(name.removeprefix(_prefix(target))):
                path.unlink(missing_ok=True)


def _is_stale(rest: str) -> bool:
    pid = rest.partition("-")[0]
    return pid.isdecimal() and (int(pid) == os.getpid() or process_start_time(int(pid)) is None)


def _prefix(target: Path) -> str:
    return f".{target.name}.mahavishnu-"
