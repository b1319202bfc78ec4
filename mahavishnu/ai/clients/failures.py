"""Failed requests, as clients write them down in the files of their sessions; their texts are never shown."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from mahavishnu.ai.clients.transcripts import Line, member, read_backwards, time_of

MAX_FILES = 40


@dataclass(frozen=True)
class RecordedRequest:
    """
    A request to the provider as a session's file has it: an answer, or with `failed` an error.

    `status` is what the provider answered, 0 where the file does not say; `text` the client's words, which may
    quote the provider's.
    """

    at: datetime
    failed: bool
    status: int = 0
    text: str = ""


# What one line says of a request; None for all other lines.
type ReadAttempt = Callable[[Line], RecordedRequest | None]


def find_attempts(
    root: Path, pattern: str, read: ReadAttempt, *, since: datetime
) -> Iterator[tuple[RecordedRequest, str]]:
    """Yield the attempts after a time and the folder of each one's session, oldest first in each file."""
    for path in _changed(root, pattern, since.timestamp()):
        lines = list(read_backwards(path))
        folder = next(filter(None, map(_folder_of, lines)), "")
        for line in reversed(lines):
            attempt = read(line)
            if attempt is not None and attempt.at > since:
                yield attempt, folder


def _folder_of(line: Line) -> str:
    said = line.get("cwd") or member(line, "payload", "cwd")
    return said if isinstance(said, str) else ""


def _changed(root: Path, pattern: str, since_s: float) -> list[Path]:
    """Return the files that were written after a time, the latest `MAX_FILES` alone."""
    found = []
    for path in root.glob(pattern):
        try:
            changed = path.stat().st_mtime
        except OSError:
            continue
        if changed > since_s:
            found.append((changed, path))
    return [path for _, path in sorted(found)[-MAX_FILES:]]


def attempt_of(
    line: Line, *, failed: bool, status: object = 0, text: object = ""
) -> RecordedRequest | None:
    """Return what a line says of a request; None where it has no time."""
    at = time_of(line)
    known = status if isinstance(status, int) else 0
    words = text if isinstance(text, str) else ""
    return RecordedRequest(datetime.fromtimestamp(at, UTC), failed, known, words) if at else None
