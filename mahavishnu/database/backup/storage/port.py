"""
What a place for backup sets can do, whether it is a folder or a bucket of a cloud.

A set appears whole or not at all, and goes in one step. One command at a time makes or deletes sets; any
number may read meanwhile. Sets are numbered in the order in which they were finished, since a clock may go
backwards.
"""

import contextlib
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from mahavishnu.base.errors import Conflict

_NAME = re.compile(r"(\d{4,})-\d{8}T\d{6}Z-([0-9a-f]{8})")


@dataclass(frozen=True, order=True)
class StoredSet:
    """A set that is there: its place in the order, its name, and the token that its manifest has too."""

    number: int
    name: str
    token: str

    @property
    def created_at(self) -> datetime:
        """When it was made, by the clock of its maker."""
        return datetime.strptime(self.name.split("-")[1], "%Y%m%dT%H%M%S%z")


@dataclass(frozen=True)
class Unfinished:
    """What is in the making or half deleted; `active` while the command that does it lives."""

    token: str
    active: bool
    size_bytes: int


class Reader(Protocol):
    """A part that is read from its beginning to its end."""

    def read(self, size: int = -1, /) -> bytes:
        """Return at most `size` bytes, all that is left by default; nothing at the end."""


class PartWriter(Protocol):
    """A part that is written."""

    def write(self, data: bytes, /) -> int:
        """Take all of it; returns its length."""


class Draft(Protocol):
    """A set in the making; without `publish` nothing of it stays."""

    @property
    def token(self) -> str:
        """What tells it from others for good."""

    def create(self, name: str) -> contextlib.AbstractContextManager[PartWriter]:
        """Open a new part for writing; when the block ends it is durable, and was compared with what was written."""

    def publish(self, created_at: datetime) -> StoredSet:
        """Let the set appear, in one step; once, after all of its parts."""


class Storage(Protocol):
    """A place for sets. Every method may raise `MahavishnuError`."""

    def shares_disk(self, folder: Path | None) -> bool:
        """Tell whether what is stored here takes room from this folder; None is a folder elsewhere."""

    def begin(self) -> contextlib.AbstractContextManager[Draft]:
        """Start a set, after removing what killed commands left; `backup.busy` while another one is made or deleted."""

    def find(self) -> list[StoredSet]:
        """Return the sets, oldest first."""

    def find_unfinished(self) -> list[Unfinished]:
        """Return what is in the making, or was left by a kill."""

    def clean(self) -> int:
        """Remove what killed commands left; returns how many sets that were, or raises `backup.busy`."""

    def names(self, stored: StoredSet) -> dict[str, int]:
        """Return the names of the parts and notes that are there with their sizes in bytes."""

    def open(self, stored: StoredSet, name: str) -> contextlib.AbstractContextManager[Reader]:
        """Open a part for reading; `backup.storage` where it is missing."""

    def read_note(self, stored: StoredSet, name: str) -> bytes | None:
        """Return a note, or a part that is small; None without one."""

    def write_note(self, stored: StoredSet, name: str, content: bytes) -> None:
        """Put a note beside the parts, or replace it, in one step; the caller uses the set."""

    def use(self, stored: StoredSet) -> contextlib.AbstractContextManager[None]:
        """Keep a set from being deleted during the block; `backup.in_use` where it is being deleted, or gone."""

    def delete(self, stored: StoredSet) -> None:
        """Remove a set, in one step; `backup.in_use` where somebody uses it, `backup.busy` as `begin`."""


def name_set(number: int, created_at: datetime, token: str) -> StoredSet:
    """Return the set of this place in the order, with its name."""
    return StoredSet(number, f"{number:04}-{created_at:%Y%m%dT%H%M%SZ}-{token}", token)


def parse_set(name: str) -> StoredSet | None:
    """Return the set that has this name; None where it is not the name of one."""
    match = _NAME.fullmatch(name)
    return match and StoredSet(int(match[1]), name, match[2])


def busy(place: str) -> Conflict:
    """Return the error for a second command that would change the sets."""
    return Conflict(
        f"Another command is making or deleting backups in {place}.",
        hint="Try again when it has ended."
        + (
            " Of one that was killed, a bucket is free after five minutes."
            if "://" in place
            else ""
        ),
        code="backup.busy",
    )


def in_use(stored: StoredSet) -> Conflict:
    """Return the error for a set that must stay, or is about to go."""
    return Conflict(
        f"The set {stored.name} is in use, or was removed.",
        hint="Try again when the other command has ended.",
        code="backup.in_use",
    )
