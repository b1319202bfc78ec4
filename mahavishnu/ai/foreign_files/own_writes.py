"""
Which contents of another program's file are our own: pairs of digests, before and after each write, beside its lock.

Whoever watches the file can tell a write of ours from one of anybody else, also where both came at once.
"""

import contextlib
import hashlib
import json
from pathlib import Path

MOST_KEPT = 32  # writes


def digest(content: bytes | None) -> str:
    """Return what identifies a content; "" for a file that is not there."""
    return "" if content is None else hashlib.sha256(content).hexdigest()


def note_own_write(target: Path, locks: Path, before: bytes | None, after: bytes | None) -> None:
    """Note a write; whoever calls holds the lock of the file. What cannot be noted counts as another's."""
    with contextlib.suppress(OSError):
        path = _path(target, locks)
        pairs = [*_read(path), (digest(before), digest(after))][-MOST_KEPT:]
        # Not durable: after a power cut the file counts as changed by another, once.
        beside = path.with_suffix(".new")
        beside.touch(mode=0o600)
        beside.write_bytes(json.dumps(pairs).encode())
        beside.replace(path)


def is_own_write(target: Path, locks: Path, before: str, after: str) -> bool:
    """Tell whether writes of ours alone made of one content, by its digest, another one."""
    at, reached = before, False
    for one, other in _read(_path(target, locks)):
        if one == at:
            at, reached = other, True
    return reached and at == after


def _path(target: Path, locks: Path) -> Path:
    name = hashlib.sha256(str(target.resolve()).encode(errors="surrogateescape")).hexdigest()
    return locks / f"{name[:32]}.writes"


def _read(path: Path) -> list[tuple[str, str]]:
    try:
        return [(str(one), str(other)) for one, other in json.loads(path.read_bytes())]
    except (OSError, ValueError, TypeError):
        return []
