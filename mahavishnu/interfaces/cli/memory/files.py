"""Files of rows that commands read and write."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mahavishnu.base.errors import Unavailable


@contextmanager
def usable(file: Path) -> Iterator[None]:
    """Raise what the disk is in the way of as ours."""
    try:
        if file.exists() and not file.is_file():
            raise OSError(errno.EINVAL, "it is no plain file; for stdin and stdout say -")
        yield
    except OSError as error:
        raise Unavailable(
            f"{file} cannot be used: {error.strerror or error}.",
            hint="Check the path, and the room on its disk; what was there is as it was.",
            code="transfer.file",
        ) from error
