"""
The daemon's bearer token: made once, in a file for its owner alone, replaced by a command.

Whoever can read the file can use the daemon; one that others can read is refused, never repaired.
"""

import contextlib
import hmac
import os
import secrets
import stat
from pathlib import Path

from mahavishnu.base.daemon.record import translated_files
from mahavishnu.base.errors import Corrupt, Forbidden, NotFound
from mahavishnu.base.files import sync_folder, write_atomically
from mahavishnu.base.paths import private_folder

PREFIX = "mv-"  # lets scanners of leaked secrets know it
MAX_BYTES = 256
_HINT = "Replace it with: mahavishnu token rotate"


def make_token() -> str:
    """Return a new token of 256 random bits."""
    return PREFIX + secrets.token_urlsafe(32)


def ensure_token(path: Path) -> str:
    """Return the token of the file, which is made where it is missing; of two makers one wins."""
    with contextlib.suppress(NotFound):
        return read_token(path)
    private_folder(path.parent)
    made = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    with translated_files(path.parent):
        write_atomically(made, make_token().encode() + b"\n")
        try:
            with contextlib.suppress(FileExistsError):
                os.link(made, path)
        finally:
            made.unlink()
        sync_folder(path.parent)
    return read_token(path)


def rotate_token(path: Path) -> str:
    """Replace the token; a running daemon takes the new one at its next request."""
    private_folder(path.parent)
    token = make_token()
    with translated_files(path.parent):
        if path.is_symlink():
            path.unlink()  # what it leads to is not ours to write
        write_atomically(path, token.encode() + b"\n")
    return token


def read_token(path: Path) -> str:
    """
    Return the token of the file.

    Raises:
        NotFound: `daemon.no_token`.
        Forbidden: `daemon.token_exposed`, others can read or write it, or it is someone else's.
        Corrupt: `daemon.token_damaged`.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError as error:
        raise NotFound(
            "The daemon has no token yet.",
            hint="It is made at its start (mahavishnu up --detach), or by: mahavishnu token rotate",
            code="daemon.no_token",
        ) from error
    except OSError as error:
        raise Forbidden(
            f"The token file cannot be read: {path} ({error.strerror}).",
            hint=_HINT,
            code="daemon.token_exposed",
        ) from error
    try:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode) or about.st_uid != os.geteuid() or about.st_mode & 0o077:
            raise Forbidden(
                f"Others than its owner can read or write the token file: {path}",
                hint=_HINT,
                code="daemon.token_exposed",
            )
        text = os.read(descriptor, MAX_BYTES).decode("latin-1").strip()
    finally:
        os.close(descriptor)
    whole = len(PREFIX) + 32 <= len(text) < MAX_BYTES and text.isascii() and text.isprintable()
    if not text.startswith(PREFIX) or not whole:
        raise Corrupt(
            f"The token file holds no token: {path}", hint=_HINT, code="daemon.token_damaged"
        )
    return text


class TokenFile:
    """The token as the file says it now, read again only after the file changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, ...] | None = None
        self._token = ""

    def matches(self, given: str) -> bool:
        """Compare in constant time; raises as `read_token` does."""
        try:
            about = self._path.lstat()
            seen = (about.st_ino, about.st_mtime_ns, about.st_ctime_ns, about.st_mode, about.st_uid)
        except OSError:
            seen = None
        if seen is None or seen != self._seen:
            self._token, self._seen = read_token(self._path), seen
        return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), self._token.encode())
