"""What clients write down of a session, line by line of JSON; only the ends of such a file are read."""

import os
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

HEAD_BYTES = 1_048_576  # Codex's first line has all its instructions
TAIL_BYTES = 262_144
_FOLDER = re.compile(r"[^A-Za-z0-9]")
_ID = re.compile(r"[A-Za-z0-9_-]+")

type Line = dict[str, Any]


def find_transcript(root: Path, folder: str, identifier: str, form: str) -> Path | None:
    """
    Return a session's file below the folder that its client makes for a project; None where there is none.

    `form` is the file's name there, with {} for the session's id.
    """
    if not _ID.fullmatch(identifier):
        return None
    inside = form.format(identifier)
    direct = root / _FOLDER.sub("-", folder) / inside
    if direct.is_file():
        return direct
    return next(iter(root.glob(f"*/{inside}")), None)


def read_first(path: Path) -> Line:
    """Return the first line; empty where it is not one."""
    try:
        with path.open("rb") as stream:
            return decode_object(stream.readline(HEAD_BYTES)) or {}
    except OSError:
        return {}


def read_backwards(path: Path) -> Iterator[Line]:
    """Yield the last lines, the latest first; what is torn, or no object, is passed over."""
    try:
        with path.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - TAIL_BYTES))
            content = stream.read(TAIL_BYTES)
    except OSError:
        return
    for text in reversed(content.split(b"\n")):
        line = decode_object(text)
        if line is not None:
            yield line


def decode_object(text: bytes) -> Line | None:
    """Return the members of an object; None where it is torn, no text, too deep, or something else."""
    try:
        said = msgspec.json.decode(text)
    except (ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) else None


def time_of(line: Line) -> float:
    """Return when a line was written, in seconds since the epoch; 0 where it does not say."""
    try:
        return datetime.fromisoformat(str(line.get("timestamp"))).timestamp()
    except ValueError:
        return 0.0


def member(line: Line, *names: str) -> Any:
    """Return a member of a member; None where one of them is not there."""
    found: Any = line
    for name in names:
        found = found.get(name) if isinstance(found, dict) else None
    return found
