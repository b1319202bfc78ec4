"""Checks of the machine (Python, platform, disk, clock), and of who else owns the name `mahavishnu` on it."""

import os
import re
import shutil
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from importlib.metadata import Distribution
from pathlib import Path

from mahavishnu.doctor.findings import Examination, Finding

MINIMUM_PYTHON = (3, 13)
PLATFORMS = {"linux": "Linux", "darwin": "macOS"}
# PostgreSQL stops at the first write that finds no room, and its log grows in steps of 16 MiB.
SCARCE_BYTES, SPARSE_BYTES = 64 * 1024**2, 1024**3
EARLIEST, LATEST = datetime(2025, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
OURS = "mahavishnu-ai"
NAME = "mahavishnu"
COMMAND = Path(sysconfig.get_path("scripts")) / NAME


def judge_python(version: tuple[int, ...], implementation: str) -> Finding:
    """Compare a version with the oldest that will do."""
    shown = f"{implementation} {'.'.join(map(str, version))}"
    if version < MINIMUM_PYTHON:
        needed = ".".join(map(str, MINIMUM_PYTHON))
        return Finding(
            "error",
            f"{shown} is too old; {needed} or newer is needed.",
            f"Install it, for example with: uv python install {needed}",
        )
    if implementation != "CPython":
        return Finding("warning", f"{shown} was never tried; CPython was.")
    return Finding("ok", f"{shown} in {sys.prefix}.")


def judge_platform(system: str, release: str, machine: str) -> Finding:
    """Tell whether the system is one that Mahavishnu runs on."""
    if system in PLATFORMS:
        return Finding("ok", f"{PLATFORMS[system]} {release}, {machine}.")
    return Finding(
        "error",
        f"Mahavishnu does not run on {system}.",
        "Use Linux or macOS; on Windows the Windows Subsystem for Linux.",
    )


def look_at_disk(examination: Examination) -> Finding:
    """Check the room where the database and the state are kept; needs `home`."""
    places = examination.places
    folders = {_nearest(places.postgres), _nearest(places.state)}
    return min((_judge_folder(folder) for folder in folders), key=lambda found: found[0])[1]


def _judge_folder(folder: Path) -> tuple[int, Finding]:
    """Return the free bytes and what they mean."""
    free = shutil.disk_usage(folder).free
    room = os.statvfs(folder)
    return free, judge_room(folder, free, names_left=room.f_favail if room.f_files else None)


def judge_room(folder: Path, free: int, *, names_left: int | None) -> Finding:
    """Tell whether so many free bytes, and so many further files (None: no bound), suffice."""
    hint = f"Free some space there; see: df -h -i {folder}"
    if names_left == 0:
        return Finding("error", f"No further file fits onto the disk of {folder}.", hint)
    if free < SPARSE_BYTES:
        return Finding(
            "error" if free < SCARCE_BYTES else "warning",
            f"Only {free / 1024**2:,.0f} MiB are free on the disk of {folder}.",
            hint,
        )
    return Finding("ok", f"{free / 1024**3:,.1f} GiB are free on the disk of {folder}.")


def _nearest(path: Path) -> Path:
    """Return `path`, or the nearest folder above it that is there."""
    return next(folder for folder in (path, *path.parents) if folder.exists())


def judge_clock(now: datetime) -> Finding:
    """Tell whether a time can be the present one."""
    if EARLIEST <= now < LATEST:
        return Finding("ok", f"It is {now:%Y-%m-%d %H:%M} UTC.")
    return Finding(
        "error",
        f"The clock says {now:%Y-%m-%d}, which cannot be.",
        "Set it, for example with: timedatectl set-ntp true",
    )


def judge_owners(installed: Iterable[Distribution]) -> Finding:
    """Name the distributions that provide what is ours."""
    others = sorted({name for each in installed if (name := _other_owner(each))})
    if not others:
        return Finding("ok", f"No other distribution than {OURS} owns the name {NAME}.")
    return Finding(
        "error",
        f"The name {NAME} is owned by another distribution as well: {', '.join(others)}.",
        f"Remove it, then install this one again, whose files it may have replaced:"
        f" uv pip uninstall {' '.join(others)}",
    )


def _other_owner(distribution: Distribution) -> str | None:
    """Return the name of a distribution that is not ours and provides what is; else None."""
    name = distribution.metadata.get("Name") or ""
    if re.sub(r"[-_.]+", "-", name).lower() == OURS:
        return None
    tops = (distribution.read_text("top_level.txt") or "").split()
    record = distribution.read_text("RECORD") or ""
    command = any(
        entry.group == "console_scripts" and entry.name == NAME
        for entry in distribution.entry_points
    )
    packaged = NAME in tops or re.search(rf"^\"?{NAME}/", record, re.MULTILINE)
    return name if name.lower() == NAME or command or packaged else None


def judge_command(ours: Path, search_path: str) -> Finding:
    """Tell whether the first `mahavishnu` of the search path is `ours`, or leads to it."""
    first = next(_commands(search_path), None)
    if first is None:
        return Finding(
            "info",
            f"No folder of PATH holds {NAME}; this one is {ours}.",
            f"Add {ours.parent} to PATH.",
        )
    if ours.exists() and first.samefile(ours):
        return Finding("ok", f"{first} is this one.")
    return Finding(
        "warning",
        f"A shell runs {first}, which is another one than {ours}.",
        f"See all of them with: type -a {NAME}; put {ours.parent} first in PATH, or remove the other.",
    )


def _commands(search_path: str) -> Iterator[Path]:
    for folder in search_path.split(os.pathsep):
        found = Path(folder) / NAME
        if os.access(found, os.X_OK) and found.is_file():
            yield found
