"""Which sessions of an AI client run, by what the client itself registers; pids are checked."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from mahavishnu.processes import process_start_time

MAX_BYTES = 65_536


@dataclass(frozen=True)
class Session:
    """A running session of a client."""

    pid: int
    folder: str


def find_sessions(folder: Path) -> tuple[Session, ...]:
    """
    Return the sessions that `sessions/PID.json` in a client's folder tells of and that still run.

    Where the file says when its process began, that must be so still: a pid that another process was
    given since is none. Where it does not, any process of that pid is taken for the session, since
    one too many is harmless.
    """
    return tuple(_read(folder / "sessions"))


def _read(folder: Path) -> Iterator[Session]:
    with contextlib.suppress(OSError):
        for path in sorted(folder.glob("*.json")):
            if path.stem.isdecimal():
                pid, about = int(path.stem), _about(path)
                if _runs(pid, about.get("procStart")):
                    yield Session(pid, str(about.get("cwd") or about.get("work_dir") or ""))


def _about(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as stream:
            about = msgspec.json.decode(stream.read(MAX_BYTES))
    except (OSError, msgspec.DecodeError):
        return {}  # half written: the client is there
    return about if isinstance(about, dict) else {}


def _runs(pid: int, began: object) -> bool:
    started = process_start_time(pid)
    if started is None:
        return False
    _, mark, ticks = started.partition(":")
    # On Linux both are the ticks since the boot; elsewhere they are not to be compared.
    return not (mark and str(began or "").isdecimal()) or ticks == str(began)
