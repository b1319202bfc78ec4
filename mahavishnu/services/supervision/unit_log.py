"""What a unit prints, line by line into a file of bounded size, without secrets. Standard library only."""

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

from mahavishnu.base.masking import MASK, mask_secrets

MAX_BYTES = 5 * 1024 * 1024  # then it is put aside, as `….1`
MAX_LINE = 16 * 1024
MAX_WAITING = 64 * 1024  # of a line that does not end


class UnitLog:
    """Takes what a unit prints. Where the file cannot be written, `problem` says why, and the unit goes on."""

    def __init__(self, path: Path, secrets: Sequence[str]) -> None:
        self.problem = ""
        self._path = path
        self._secrets = sorted((each for each in secrets if each), key=len, reverse=True)
        self._waiting = b""
        self._skipping = False
        self._descriptor: int | None = None

    def take(self, piece: bytes) -> None:
        """Write the lines that have ended; of one that is too long only its beginning."""
        *lines, self._waiting = (self._waiting + piece).split(b"\n")
        for line in lines:
            self._line(line)
        if len(self._waiting) > MAX_WAITING:
            self._line(self._waiting)
            self._waiting, self._skipping = b"", True

    def finish(self) -> None:
        """Write what is left of a last line, and close the file."""
        if self._waiting:
            self._line(self._waiting)
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def say(self, text: str) -> None:
        """Write a line of ours."""
        self._write(f"[mahavishnu] {text}\n".encode())

    def _line(self, line: bytes) -> None:
        if self._skipping:
            self._skipping = False
            return
        text = line.decode("utf-8", "replace")
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        shown = mask_secrets(text).encode()
        self._write(shown[:MAX_LINE] + b"\n")

    def _write(self, line: bytes) -> None:
        try:
            os.write(self._file(), line)
            self.problem = ""
        except OSError as error:
            self.problem = f"Its log {self._path} cannot be written: {error.strerror}."
            self._close()

    def _file(self) -> int:
        """Return the open file; a new one where it is long, or somebody removed it."""
        if self._descriptor is not None:
            written, there = os.fstat(self._descriptor), self._stat()
            same = there is not None and os.path.samestat(written, there)
            if same and written.st_size <= MAX_BYTES:
                return self._descriptor
            self._close()
        there = self._stat()
        if there is not None and there.st_size > MAX_BYTES:
            self._path.replace(self._path.with_name(f"{self._path.name}.1"))
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._descriptor = os.open(self._path, flags, 0o600)
        return self._descriptor

    def _stat(self) -> os.stat_result | None:
        with contextlib.suppress(FileNotFoundError):
            return self._path.stat()
        return None

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
