"""Parts of a set on their way in and out: counted, hashed, encrypted and decrypted in bounded memory."""

import contextlib
import hashlib
import io
from dataclasses import dataclass

from mahavishnu.base.errors import Corrupt
from mahavishnu.database.backup.encryption import Decryption, PartEncryption
from mahavishnu.database.backup.manifest import ENCRYPTED, OTHER_SET, Part
from mahavishnu.database.backup.storage.port import Draft, PartWriter, Reader, Storage, StoredSet

PIECE_BYTES = 1 << 20


@dataclass
class Progress:
    """How far a command is: what it does, and the bytes that it has written or read. A thread counts, others look."""

    step: str = ""
    done_bytes: int = 0


class _Counted:
    """A source or sink that counts and hashes the bytes that pass."""

    def __init__(self, end: Reader | PartWriter, progress: Progress) -> None:
        self._end = end
        self._progress = progress
        self._hash = hashlib.sha256()
        self.size_bytes = 0

    def write(self, data: bytes, /) -> int:
        self._end.write(data)  # type: ignore[union-attr]
        return self._count(data)

    def read(self, size: int = -1, /) -> bytes:
        data = self._end.read(PIECE_BYTES if size < 0 else size)  # type: ignore[union-attr]
        self._count(data)
        return data

    def digest(self) -> str:
        return self._hash.hexdigest()

    def _count(self, data: bytes) -> int:
        self._hash.update(data)
        self.size_bytes += len(data)
        self._progress.done_bytes += len(data)
        return len(data)


class _UntilClosed:
    """A sink that goes on when its reader has closed the pipe, so that all of the source is still hashed."""

    def __init__(self, sink: PartWriter) -> None:
        self._sink: PartWriter | None = sink

    def write(self, data: bytes, /) -> int:
        if self._sink is not None:
            try:
                return self._sink.write(data)
            except BrokenPipeError:
                self._sink = None
        return len(data)


def store_part(
    draft: Draft, name: str, source: Reader, encryption: PartEncryption | None, progress: Progress
) -> Part:
    """Write a part, encrypted where that is asked for; blocks until the source ends."""
    stored_as = name + (ENCRYPTED if encryption else "")
    with draft.create(stored_as) as stream:
        counted = _Counted(stream, progress)
        (encryption.copy if encryption else _copy)(source, counted)
    return Part(stored_as, counted.size_bytes, counted.digest())


def feed_part(
    storage: Storage,
    stored: StoredSet,
    part: Part,
    sink: PartWriter,
    decryption: Decryption,
    progress: Progress,
) -> None:
    """
    Write the content of a part to `sink`; blocks until all was read, also where the sink was closed early.

    Raises:
        Corrupt: `backup.part_changed`, besides what `Decryption.copy` raises.
    """
    with storage.open(stored, part.name) as stream:
        counted = _Counted(stream, progress)
        sink = _UntilClosed(sink)
        damaged: Corrupt | None = None
        if part.name.endswith(ENCRYPTED):
            try:
                decryption.copy(counted, sink)
            except Corrupt as error:  # the digest says more
                damaged = error
        else:
            _copy(counted, sink)
        while counted.read():  # what follows the end, or the damage
            pass
    _require_digest(stored, part, counted.digest())
    if damaged is not None:
        raise damaged


def feed_beginning(
    storage: Storage,
    stored: StoredSet,
    part: Part,
    sink: PartWriter,
    decryption: Decryption,
    progress: Progress,
) -> None:
    """Write the content of a part to `sink` until that is closed; nothing is compared."""
    del progress  # counted when all of it was read
    with storage.open(stored, part.name) as stream, contextlib.suppress(BrokenPipeError):
        (decryption.copy if part.name.endswith(ENCRYPTED) else _copy)(stream, sink)


def read_part(storage: Storage, stored: StoredSet, part: Part, decryption: Decryption) -> bytes:
    """Return the content of a small part; raises as `feed_part`."""
    sink = io.BytesIO()
    feed_part(storage, stored, part, sink, decryption, Progress())
    return sink.getvalue()


def check_part(storage: Storage, stored: StoredSet, part: Part, progress: Progress) -> None:
    """Read all bytes of a part as they are stored; raises `Corrupt` `backup.part_changed`."""
    with storage.open(stored, part.name) as stream:
        counted = _Counted(stream, progress)
        while counted.read():
            pass
    _require_digest(stored, part, counted.digest())


def require_sizes(storage: Storage, stored: StoredSet, parts: tuple[Part, ...]) -> None:
    """
    Refuse a set of which a part is missing or has another size; nothing is read.

    Raises:
        Corrupt: `backup.part_missing`, `backup.part_truncated`.
    """
    sizes = storage.names(stored)
    for part in parts:
        size = sizes.get(part.name)
        if size is None:
            raise missing(part.name, stored)
        if size != part.size_bytes:
            raise Corrupt(
                f"{part.name} of the set {stored.name} has {size:,} bytes instead of {part.size_bytes:,}.",
                hint=OTHER_SET,
                code="backup.part_truncated",
            )


def missing(name: str, stored: StoredSet) -> Corrupt:
    """Return the error for a file that a set must have."""
    return Corrupt(
        f"{name} of the set {stored.name} is missing.", hint=OTHER_SET, code="backup.part_missing"
    )


def _require_digest(stored: StoredSet, part: Part, digest: str) -> None:
    if digest != part.sha256:
        raise Corrupt(
            f"{part.name} of the set {stored.name} was changed since it was written.",
            hint=OTHER_SET,
            code="backup.part_changed",
        )


def _copy(source: Reader, sink: PartWriter) -> None:
    while piece := source.read(PIECE_BYTES):
        sink.write(piece)
