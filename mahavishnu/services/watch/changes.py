"""What was changed in files of settings since the last look: the names of keys, and never their values."""

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mahavishnu.base.errors import MahavishnuError

MOST_KEYS = 10  # that a text names


@dataclass(frozen=True)
class WatchedFile:
    """
    A file of settings under a short name.

    `read` returns the values of a content by dotted key, and raises `MahavishnuError` where that is broken. `is_own`
    tells whether writes of ours alone made of a content, by its digest, another one. `describe` adds what people
    should know of changed keys.
    """

    name: str
    path: Path
    read: Callable[[bytes], Mapping[str, Any]]
    is_own: Callable[[str, str], bool] = lambda _before, _after: False
    describe: Callable[[Sequence[str]], str] = lambda _: ""


@dataclass(frozen=True)
class FileChanged:
    """A file that somebody else changed, and which keys; with an `error` it is broken."""

    file: WatchedFile
    keys: tuple[str, ...] = ()
    error: MahavishnuError | None = None

    @property
    def named(self) -> str:
        """The keys, as far as a text has room."""
        more = len(self.keys) - MOST_KEYS
        return ", ".join(self.keys[:MOST_KEYS]) + (f" and {more:,} more" if more > 0 else "")


@dataclass
class _Seen:
    digest: str
    keys: Mapping[str, str] = field(default_factory=dict)
    error: MahavishnuError | None = None


class WatchedSettings:
    """Files of settings as they were at the last look; blocking, for a thread."""

    def __init__(self) -> None:
        self._seen: dict[Path, _Seen] = {}

    def look(self, files: Sequence[WatchedFile]) -> list[FileChanged]:
        """Return what was changed since the last look; at the first one of a file, only that it is broken."""
        return [change for each in files for change in self._look(each)]

    def _look(self, file: WatchedFile) -> Iterator[FileChanged]:
        content: bytes | None = None
        with contextlib.suppress(OSError):
            content = file.path.read_bytes()
        digest = "" if content is None else hashlib.sha256(content).hexdigest()
        before = self._seen.get(file.path)
        if before is not None and before.digest == digest:
            return
        try:
            keys = {key: _mark(value) for key, value in file.read(content or b"").items()}
        except MahavishnuError as error:
            # Its keys are compared with those of the last time that it was whole.
            self._seen[file.path] = _Seen(digest, before.keys if before else {}, error)
            yield FileChanged(file, error=error)
            return
        self._seen[file.path] = _Seen(digest, keys)
        if before is None or file.is_own(before.digest, digest):
            return
        names = sorted(before.keys.keys() | keys.keys())
        changed = tuple(name for name in names if before.keys.get(name) != keys.get(name))
        if changed or before.error:
            yield FileChanged(file, changed)


def _mark(value: Any) -> str:
    """Return what differs where a value does; values themselves may be keys, and are not kept."""
    return hashlib.sha256(repr(value).encode()).hexdigest()
