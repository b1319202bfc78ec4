"""PostgreSQL's log: kept short, and read for why a start failed."""

import os
import re
import shutil
from pathlib import Path

LOG_BYTES = 10 * 1024 * 1024
_TAIL_BYTES = 8192
_LOGGED = re.compile(r"\d{4}-\d\d-\d\d \S+ \S+ \[\d+\] ")
# What it says to clients that come too early is no reason.
_REASON = re.compile(r"(?:FATAL|PANIC): +(?! |the database system is )(.*)")


def bound_log(path: Path, limit_bytes: int = LOG_BYTES) -> None:
    """Move a log that has grown past the limit to `NAME.1`; its writers must append."""
    if path.exists() and path.stat().st_size > limit_bytes:
        shutil.copyfile(path, path.with_name(f"{path.name}.1"))
        os.truncate(path, 0)


def log_size(log: Path) -> int:
    """Return the size in bytes, 0 where there is none: where what a start says will begin."""
    return log.stat().st_size if log.exists() else 0


def last_words(log: Path, *, since: int) -> str:
    """
    Return why PostgreSQL ended, by what its log holds from the byte `since` on.

    Before it can log, as without its control file, it says so in lines of their own.
    """
    if not log.exists():
        return "it left no log."
    size = log.stat().st_size
    begin = since if since <= size else 0  # it was cut meanwhile
    with log.open("rb") as stream:
        stream.seek(max(begin, size - _TAIL_BYTES))
        tail = stream.read().decode(errors="replace")
    found: list[str] = _REASON.findall(tail)
    if found:
        return found[-1]
    bare = [line for line in tail.splitlines() if not (_LOGGED.match(line) or line[:1] == "\t")]
    return " ".join(filter(None, map(str.strip, bare))) or "it did not say why."
