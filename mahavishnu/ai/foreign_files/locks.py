"""Turns at another program's file, between processes of ours: by locks beside our own state."""

import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from mahavishnu.base.errors import Unavailable
from mahavishnu.base.paths import private_folder

_PAUSE_S = 0.01


@contextmanager
def locked(target: Path, folder: Path, *, timeout: timedelta) -> Iterator[None]:
    """
    Hold the lock of `target`, a resolved path, in `folder`; the file there says what it locks.

    Raises:
        Unavailable: `ai_files.locked`, another process of ours holds it for longer than `timeout`.
    """
    name = os.fsencode(target)
    lock = private_folder(folder) / f"{hashlib.sha256(name).hexdigest()[:32]}.lock"
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(lock, flags, 0o600)
    try:
        _wait(descriptor, target, lock, time.monotonic() + timeout.total_seconds())
        if os.fstat(descriptor).st_size == 0:
            os.write(descriptor, name + b"\n")
        yield
    finally:
        os.close(descriptor)


def _wait(descriptor: int, target: Path, lock: Path, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() >= deadline:
                raise Unavailable(
                    f"Another mahavishnu process is changing {target}.",
                    hint=f"Try again when it has ended; it holds {lock}",
                    code="ai_files.locked",
                ) from error
            time.sleep(_PAUSE_S)
        else:
            return
