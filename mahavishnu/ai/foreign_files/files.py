"""
Change members of another program's settings file, and nothing else in it, while that program runs.

Only what has changed is written. Other processes of ours are kept out by a lock; the program itself
knows none, so its writes are looked for before, in and after the moment of replacement, and merged.
"""

import errno
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from mahavishnu.ai.foreign_files.documents import Document, KeyPath
from mahavishnu.ai.foreign_files.documents.port import show_path
from mahavishnu.ai.foreign_files.locks import locked
from mahavishnu.ai.foreign_files.merge import Change, Effect, ExpectedValues, merge
from mahavishnu.ai.foreign_files.own_writes import note_own_write
from mahavishnu.ai.foreign_files.replace import Snapshot, discard, look, put, sweep
from mahavishnu.base.errors import (
    Conflict,
    Corrupt,
    Forbidden,
    MahavishnuError,
    NotFound,
    Unavailable,
    UsageError,
)
from mahavishnu.base.files import FULL
from mahavishnu.base.paths import private_folder

type Close = Callable[[Path], tuple[str, ...]]

_PAUSE_S = 0.005
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS}


@dataclass(frozen=True)
class Patience:
    """
    How long to wait: for our own processes, for a file that is being written to be whole, for a
    program that writes all the time, and, after writing, for one that writes back what it read before.

    A format in which half a file looks whole is read when nobody wrote for `quiet`.
    """

    lock: timedelta = timedelta(seconds=10)
    torn: timedelta = timedelta(seconds=1)
    quiet: timedelta = timedelta(milliseconds=50)
    settle: timedelta = timedelta(milliseconds=20)
    busy: timedelta = timedelta(seconds=5)


@dataclass(frozen=True)
class Edit:
    """
    What was done to a file, or would be.

    `effects` has each change, in order, with values that may be secret; `changed` tells whether the
    file's bytes are others by them, `made` whether there was no file before. `notes` say whose rights it took.
    """

    path: Path
    effects: tuple[Effect, ...]
    changed: bool
    made: bool = False
    notes: tuple[str, ...] = ()

    @property
    def foreign(self) -> tuple[KeyPath, ...]:
        """The members that another program had changed since we wrote them."""
        return tuple(effect.change.path for effect in self.effects if effect.foreign)


@dataclass(frozen=True)
class _Manner:
    """How a file is to be changed, as `SettingsFile.edit` has it."""

    make_folder: bool
    private: bool
    drop_empty: bool


@dataclass(frozen=True)
class SettingsFile:
    """
    A file of another program, the format it has, and the folder of our locks.

    `close` takes others' rights from a file that was written, and returns what to say of it.
    """

    path: Path
    format: type[Document]
    locks: Path
    patience: Patience = Patience()
    close: Close | None = None

    def read(self) -> Document:
        """Return what the file says now; a missing one is empty. Nothing is written, nor locked."""
        with told(self.path):
            return self._read_whole(self.path.resolve())[1]

    def plan(self, changes: Sequence[Change], *, make_folder: bool = False) -> Edit:
        """Return what `edit` would do to the file as it is; nothing is written."""
        with told(self.path):
            target = self.path.resolve()
            _, document = self._read_whole(target)
            merged, effects = merge(document, changes, {})
            changed = merged.content != document.content
            if changed:
                _check_folder(target, make_folder)
            return Edit(self.path, effects, changed)

    def edit(
        self,
        changes: Sequence[Change],
        *,
        expected: ExpectedValues | None = None,
        make_folder: bool = False,
        private: bool = False,
        drop_empty: bool = False,
    ) -> Edit:
        """
        Make all changes, or none; the file is the old or the new one at any moment.

        A new file has mode 0600, its folder, with `make_folder`, 0700; with `private` the file is its
        owner's alone from then on. With `drop_empty`, one in which the changes leave nothing, no comment
        either, is removed.

        Raises:
            Conflict: `ai_files.conflict`, a member is not what `expected` says.
            Corrupt, UsageError: as `Document` tells, with the path.
            NotFound, Forbidden, Unavailable, UsageError: `ai_files.*`, the file cannot be replaced.
        """
        with ExitStack() as held:
            with told(self.path):
                target = self.path.resolve()
            with told(self.locks):
                held.enter_context(locked(target, self.locks, timeout=self.patience.lock))
            with told(self.path):
                sweep(target)
                manner = _Manner(make_folder, private, drop_empty)
                done = self._write(target, changes, expected or {}, manner)
                if self.close is None or not done.changed:
                    return done
                return replace(done, notes=self.close(self.path))

    def _write(
        self,
        target: Path,
        changes: Sequence[Change],
        expected: ExpectedValues,
        manner: _Manner,
    ) -> Edit:
        first: tuple[Effect, ...] | None = None
        made = False
        deadline = time.monotonic() + self.patience.busy.total_seconds()
        while True:
            seen, document = self._read_whole(target)
            merged, effects = merge(document, changes, expected)
            # What was there before is what was there before the first time that we wrote.
            done = Edit(self.path, first or effects, first is not None, made)
            if merged.content == document.content and not (manner.private and seen.mode & 0o077):
                return done
            if done.foreign:
                raise _conflict(done)
            _check_folder(target, manner.make_folder)
            if manner.make_folder:
                private_folder(target.parent)
            drops = manner.drop_empty and _says_nothing(merged)
            if discard(target, seen) if drops else self._put(target, seen, merged, manner):
                note_own_write(target, self.locks, seen.content, None if drops else merged.content)
                made = made or (first is None and seen.content is None)
                first = first or effects
            if time.monotonic() >= deadline:
                break
        raise Unavailable(
            f"Another program keeps writing {self.path}.",
            hint="Close the program, or try again later.",
            code="ai_files.busy",
        )

    def _put(self, target: Path, seen: Snapshot, document: Document, manner: _Manner) -> bool:
        settle_s = self.patience.settle.total_seconds()
        return put(target, seen, document.content, settle_s=settle_s, private=manner.private)

    def _read_whole(self, target: Path) -> tuple[Snapshot, Document]:
        """
        Read the file; one that changed a moment ago may be half written, and is read again.

        An emptied one is believed last: all that its program is about to write would be lost.
        """
        began = time.monotonic()
        while True:
            seen = look(target)
            waited = timedelta(seconds=time.monotonic() - began)
            try:
                document = self.format.parse(seen.content or b"")
            except Corrupt:
                if waited >= self.patience.torn or not self._is_younger(seen, self.patience.torn):
                    raise
            else:
                limit = self.patience.busy if _is_blank(seen) else self.patience.torn
                if waited >= limit or not self._may_be_partial(seen):
                    return seen, document
            time.sleep(_PAUSE_S)

    def _may_be_partial(self, seen: Snapshot) -> bool:
        if seen.content is None:
            return False
        if _is_blank(seen):
            return self._is_younger(seen, self.patience.torn)
        return not self.format.ends_visibly and self._is_younger(seen, self.patience.quiet)

    def _is_younger(self, seen: Snapshot, age: timedelta) -> bool:
        return time.time() - seen.changed < age.total_seconds()


def _is_blank(seen: Snapshot) -> bool:
    return seen.content is not None and not seen.content.strip()


def _says_nothing(document: Document) -> bool:
    return b"".join(document.content.split()) in (b"", b"{}")


def _check_folder(target: Path, make_folder: bool) -> None:
    if not make_folder and not target.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(target.parent))


def _conflict(edit: Edit) -> Conflict:
    return Conflict(
        f"Another program changed what Mahavishnu wrote to {edit.path}: "
        f"{', '.join(map(show_path, edit.foreign))}.",
        hint="Look at the file, and decide which of the two is to stay.",
        code="ai_files.conflict",
    )


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Let errors inside the block name the file, and those of the system be ours."""
    try:
        yield
    except OSError as error:
        raise _translate(path, error) from error
    except MahavishnuError as error:
        if not error.code.startswith("document."):
            raise
        if error.message.startswith(f"{path}: "):
            raise
        named = f"{path}: {error.message}"
        raise type(error)(named, hint=error.hint, code=error.code) from error


def _translate(path: Path, error: OSError) -> MahavishnuError:
    if error.errno in FULL:
        return Unavailable(
            f"There is no room to write {path}.",
            hint="Free some space on its disk.",
            code="ai_files.disk_full",
        )
    if error.errno in _REFUSED:
        return Forbidden(
            f"{path} cannot be replaced: {os.strerror(error.errno)}.",
            hint="Give yourself the right to write to its folder.",
            code="ai_files.not_writable",
        )
    if error.errno in {errno.ENOENT, errno.ENOTDIR}:
        return NotFound(
            f"The folder of {path} is not there.",
            hint="Install and start the program whose file it is, or make the folder.",
            code="ai_files.no_folder",
        )
    if error.errno == errno.ELOOP:
        return UsageError(
            f"{path} is a link that leads to itself.",
            hint="Remove the link.",
            code="ai_files.link_loop",
        )
    return Unavailable(
        f"{path} cannot be written: {error.strerror}.",
        hint="Check its disk, then try again.",
        code="ai_files.failed",
    )
