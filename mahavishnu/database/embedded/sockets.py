"""
The private folder of the server's Unix socket: a short path below /tmp, removed after its last use.

The keeper holds a lock on the folder for as long as it lives. A keeper that is killed leaves the folder
behind; the next keeper of the same user removes it, whichever database it serves itself.
"""

import contextlib
import fcntl
import hashlib
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mahavishnu.base.errors import Forbidden, Unavailable
from mahavishnu.base.processes import identify
from mahavishnu.database.embedded.state import SOCKET

LOCK_FILE = f"{SOCKET}.lock"
SOCKET_PATH_BYTES = 103


@dataclass(frozen=True)
class SocketFolder:
    """A folder that is this keeper's own: `descriptor` holds the lock on it."""

    path: Path
    descriptor: int

    @property
    def has_socket(self) -> bool:
        """Whether the socket can still be reached by its name."""
        return self.is_there and (self.path / SOCKET).exists()

    def empty(self) -> None:
        """Remove the socket and its lock file, which a crash leaves behind."""
        for name in (SOCKET, LOCK_FILE):
            (self.path / name).unlink(missing_ok=True)

    def renew(self, cluster: Path) -> "SocketFolder":
        """Return the folder for the next start: this one, or one that replaces it where it is gone."""
        if self.is_there:
            self.empty()
            return self
        folder = prepare_socket_folder(cluster, reuse=False)
        os.close(self.descriptor)
        return folder

    def remove(self) -> None:
        """Remove it with the socket; what else is in there stays, and keeps the folder."""
        if self.is_there:
            self.empty()
            with contextlib.suppress(OSError):  # not empty: somebody put something there
                self.path.rmdir()
        os.close(self.descriptor)

    @property
    def is_there(self) -> bool:
        """Whether the name still means the folder that is held."""
        with contextlib.suppress(FileNotFoundError):
            return os.path.samestat(self.path.lstat(), os.fstat(self.descriptor))
        return False


def prepare_socket_folder(cluster: Path, *, reuse: bool) -> SocketFolder:
    """
    Return the folder of the cluster's socket: private, and the same after a restart.

    It is emptied of what a crash left, unless `reuse` says that a postmaster still listens there.
    What killed keepers left in other folders is removed by the way.

    Raises:
        Forbidden: `database.socket_folder`, where something else already has the name.
        Unavailable: `database.socket_path`, where it would be too long.
    """
    short = Path("/tmp")  # noqa: S108 - a socket's path is limited, and the folder is checked
    root = short if os.access(short, os.W_OK | os.X_OK) else Path(tempfile.gettempdir())
    path = root / folder_name(cluster)
    if len(os.fsencode(path / SOCKET)) > SOCKET_PATH_BYTES:
        raise Unavailable(
            f"The path of a socket in {root} would be too long.",
            hint="Set TMPDIR to a short path.",
            code="database.socket_path",
        )
    remove_leftovers(root)
    folder = SocketFolder(path, _claim(path))
    if not reuse:
        folder.empty()
    return folder


def folder_name(cluster: Path) -> str:
    """Return the name that stands for this user and this cluster, and for no other."""
    digest = hashlib.sha256(os.fsencode(cluster.resolve())).hexdigest()[:12]
    return f"mahavishnu-{os.getuid()}-{digest}"


def remove_leftovers(root: Path) -> None:
    """Remove this user's socket folders in `root` that no keeper holds and no postmaster serves."""
    pattern = re.compile(rf"mahavishnu-{os.getuid()}-[0-9a-f]{{12}}")
    found: list[Path] = []
    with contextlib.suppress(PermissionError):  # one may write to a folder and yet not list it
        found = [path for path in root.iterdir() if pattern.fullmatch(path.name)]
    for path in found:
        # OSError: it is going away or is no folder, or a keeper holds it.
        with contextlib.suppress(OSError), _opened(path) as descriptor:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_private(descriptor) and not _may_be_served(path):
                SocketFolder(path, os.dup(descriptor)).remove()


def _claim(path: Path) -> int:
    """Make the folder and return a descriptor that locks it; again, where a sweeper was faster."""
    while True:
        with contextlib.suppress(FileExistsError):
            path.mkdir(mode=0o700)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise _taken(path) from error
        if not _is_private(descriptor):
            os.close(descriptor)
            raise _taken(path)
        with contextlib.suppress(OSError):  # where folders cannot be locked, nobody sweeps
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if SocketFolder(path, descriptor).is_there:
            return descriptor
        os.close(descriptor)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _is_private(descriptor: int) -> bool:
    status = os.fstat(descriptor)
    return status.st_uid == os.getuid() and not stat.S_IMODE(status.st_mode) & 0o077


def _may_be_served(path: Path) -> bool:
    """Tell whether a postmaster may listen there: one is named that is not surely dead."""
    try:
        lines = os.fsdecode((path / LOCK_FILE).read_bytes()).split("\n")
    except FileNotFoundError:
        return (path / SOCKET).exists()
    known = len(lines) > 1 and lines[0].isdecimal() and folder_name(Path(lines[1])) == path.name
    return not known or identify(int(lines[0])) is not None


def _taken(path: Path) -> Forbidden:
    return Forbidden(
        f"{path} is not a private folder of this user.",
        hint="Find out who made it, and remove it.",
        code="database.socket_folder",
    )
