"""What the command line writes to: streams that a closed, full or abandoned file cannot surprise."""

import io
import os
import select
import sys
from collections.abc import Buffer

from mahavishnu.base.errors import MahavishnuError


class ReaderGone(Exception):
    """The reader of stdout has gone (`| head`): no error, and nobody is left to tell."""


class Output(io.FileIO):
    """Stdout; after a failure it leads nowhere, so that what is still buffered fails no more."""

    def write(self, data: Buffer, /) -> int:
        """
        Write a piece of `data` and return its length.

        Raises:
            ReaderGone: a pipe without a reader.
            MahavishnuError: `output.failed`. No OSError: click would take some of them for its own.
        """
        try:
            while (count := super().write(data)) is None:  # another program made it non-blocking
                select.select([], [self], [])
        except OSError as error:
            _lead_nowhere(self.fileno())
            if isinstance(error, BrokenPipeError):
                raise ReaderGone from error
            raise MahavishnuError(
                f"The output could not be written: {error.strerror}.",
                hint="What the command was to do is done; only what it says about it is lost.",
                code="output.failed",
            ) from error
        return count


class Notes(io.FileIO):
    """Stderr; what cannot be written there is dropped, and the exit code has to tell."""

    def write(self, data: Buffer, /) -> int:
        """Write a piece of `data`, or drop it, and return its length."""
        try:
            while (count := super().write(data)) is None:
                select.select([], [self], [])
        except OSError:
            _lead_nowhere(self.fileno())
            return memoryview(data).nbytes
        return count


def take_streams() -> None:
    """Put `Output` and `Notes` into the place of stdout and stderr; a closed stream leads nowhere."""
    while (
        descriptor := os.open(os.devnull, os.O_RDWR)
    ) <= 2:  # else a file of ours would be stdout
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    if sys.stdin is None:
        sys.stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(0, closefd=False)), "utf-8")
    sys.stdout = _text(Output(1, "w", closefd=False), sys.stdout, errors="strict")
    sys.stderr = _text(Notes(2, "w", closefd=False), sys.stderr, errors="backslashreplace")


def _text(raw: io.FileIO, like: object, *, errors: str) -> io.TextIOWrapper:
    """Return the text stream over `raw`, set as Python set `like`."""
    known = like if isinstance(like, io.TextIOWrapper) else None
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=known.encoding if known else "utf-8",
        errors=known.errors if known else errors,
        line_buffering=errors != "strict" or raw.isatty(),
    )


def _lead_nowhere(descriptor: int) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)
