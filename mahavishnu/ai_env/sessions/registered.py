"""Sessions that a client registers as `sessions/PID.json`, as Claude Code and Qwen Code do; pids are checked."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from mahavishnu.processes import ProcessIdentity, identify

MAX_BYTES = 65_536
_SLACK_S = 2.0  # clocks that say it to a second


@dataclass(frozen=True)
class Registered:
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
        """When it began, in seconds since the epoch; 0 where that is not said."""
        return self.time("startedAt")

    def time(self, name: str) -> float:
        """Return a member that is in milliseconds in seconds; 0 where it is not there."""
        said = self.about.get(name)
        return said / 1000 if isinstance(said, int | float) else 0.0


def find_registered(folder: Path) -> tuple[Registered, ...]:
    """
    Return the sessions that `sessions/PID.json` in a client's folder tells of and that still run.

    Where the file says when its process or session began, that must be so: a pid that another process
    was given since is none. Where it says nothing, any process of that pid is taken for the session,
    since one too many is harmless to a switch; nothing that ends processes goes by it (`certain`).
    """
    return tuple(_read(folder / "sessions"))


def _read(folder: Path) -> Iterator[Registered]:
    with contextlib.suppress(OSError):
        for path in sorted(folder.glob("*.json")):
            if path.stem.isdecimal():
                about = read_object(path)
                process = identify(int(path.stem))
                same = process is not None and _is_same(process, about)
                if process is not None and same is not False:
                    yield Registered(process, about, certain=same is True)


def read_object(path: Path) -> Mapping[str, Any]:
    """Return a small JSON file's members; none where it is half written, gone or something else."""
    try:
        with path.open("rb") as stream:
            about = msgspec.json.decode(stream.read(MAX_BYTES))
    except (OSError, msgspec.DecodeError):
        return {}
    return about if isinstance(about, dict) else {}


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
    session = about.get("startedAt")
    if not isinstance(session, int | float):
        return None
    import psutil  # noqa: PLC0415 - where there are no ticks to compare

    try:
        return bool(psutil.Process(process.pid).create_time() <= session / 1000 + _SLACK_S)
    except psutil.Error:
        return None
