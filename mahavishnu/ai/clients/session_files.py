"""Sessions that a client registers as `sessions/PID.json`, as Claude Code and Qwen Code do; pids are checked."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mahavishnu.ai.clients.transcripts import decode_object
from mahavishnu.base.processes import ProcessIdentity, identify

MAX_BYTES = 65_536
_SLACK_S = 2.0  # clocks that say it to a second
_FROM_MS, _TO_MS = 1_262_304_000_000, 4_102_444_800_000  # 2010 to 2100; else it is another unit


@dataclass(frozen=True)
class RegisteredProcess:
    """
    A process that runs, and what its client wrote of it; some of that is secret, and not shown.

    `certain` says that it was compared when both began, and that it is surely this one.
    """

    process: ProcessIdentity
    about: Mapping[str, Any] = field(repr=False)
    certain: bool

    def text(self, *names: str) -> str:
        """Return the first of these members that is a text; empty where none is."""
        found = (self.about.get(name) for name in names)
        return next((each for each in found if isinstance(each, str) and each), "")

    @property
    def folder(self) -> str:
        """Where it works."""
        return self.text("cwd", "work_dir")

    @property
    def since(self) -> float:
        """When it began, in seconds since the epoch: its process did where the client does not say."""
        return self.time("startedAt") or _begun(self.process)

    def time(self, name: str) -> float:
        """Return a member that is in milliseconds in seconds; 0 where it is not there, or in another unit."""
        return _time(self.about, name)


def find_registered(folder: Path) -> tuple[RegisteredProcess, ...]:
    """
    Return the sessions that `sessions/PID.json` in a client's folder lists and that still run.

    Where the file says when its process or session began, that must be so: a pid that another process
    was given since is none. Where it says nothing, any process of that pid is taken for the session,
    since one too many is harmless to a switch; nothing that ends processes goes by it (`certain`).
    """
    return tuple(_read(folder / "sessions"))


def _read(folder: Path) -> Iterator[RegisteredProcess]:
    with contextlib.suppress(OSError):
        for path in sorted(folder.glob("*.json")):
            if path.stem.isdecimal():
                about = read_object(path)
                process = identify(int(path.stem))
                same = process is not None and _is_same(process, about)
                if process is not None and same is not False:
                    yield RegisteredProcess(process, about, certain=same is True)


def read_object(path: Path) -> Mapping[str, Any]:
    """Return a small JSON file's members; none where it is half written, gone or something else."""
    try:
        with path.open("rb") as stream:
            return decode_object(stream.read(MAX_BYTES)) or {}
    except OSError:
        return {}


def _is_same(process: ProcessIdentity, about: Mapping[str, Any]) -> bool | None:
    """
    Tell whether the process is the one that the file is about; None where the file does not say.

    Linux has ticks since the boot, before which stands the boot's id where the client knows it. Else a
    process that began after the session did was given the pid of one that has ended.
    """
    boot, mark, ticks = process.started.partition(":")
    said_boot, _, said_ticks = str(about.get("procStart") or "").rpartition(":")
    if mark and said_ticks.isdecimal():
        return said_ticks == ticks and said_boot in ("", boot)
    session, began = _time(about, "startedAt"), _begun(process)
    return began <= session + _SLACK_S if session and began else None


def _time(about: Mapping[str, Any], name: str) -> float:
    said = about.get(name)
    milliseconds = said if isinstance(said, int | float) else 0
    return milliseconds / 1000 if _FROM_MS < milliseconds < _TO_MS else 0.0


def _begun(process: ProcessIdentity) -> float:
    """Return when a process began, in seconds since the epoch; 0 where that cannot be had."""
    import psutil  # noqa: PLC0415 - where the client does not say it

    try:
        return float(psutil.Process(process.pid).create_time())
    except psutil.Error:
        return 0.0
