"""
Whether automatic acts rest: a file in the state folder that every daemon of the folder reads.

What people asked for goes on, and so does what keeps it: writes of the spool, vectors, deliveries.
"""

import contextlib
from datetime import datetime
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from mahavishnu.base.files import write_atomically
from mahavishnu.base.paths import private_folder

NAME = "pause.json"


class Pause(Struct, frozen=True, kw_only=True):
    """A rest from automatic acts; with `dry_run` each act that is due is recorded instead."""

    since: datetime
    until: Annotated[datetime | None, Meta(description="Its end; none until it is resumed.")] = None
    dry_run: bool = False


class PauseFile:
    """The pause in one state folder."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME

    def read(self, now: datetime) -> Pause | None:
        """Return the pause that holds at an aware time; a damaged file pauses nothing."""
        try:
            pause = msgspec.json.decode(self.path.read_bytes(), type=Pause)
        except (FileNotFoundError, msgspec.MsgspecError, UnicodeDecodeError):
            return None
        return pause if pause.until is None or now < pause.until else None

    def write(self, pause: Pause) -> None:
        """Begin a pause, or change the one that holds; raises OSError."""
        private_folder(self.path.parent)
        write_atomically(self.path, msgspec.json.encode(pause))

    def remove(self) -> None:
        """End it; raises OSError."""
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()
