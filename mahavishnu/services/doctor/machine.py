"""Checks of the machine: Python, platform, room on the disk, a clock that can be right."""

import os
import platform
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path

from mahavishnu.services.doctor.findings import Examination, Finding

MINIMUM_PYTHON = (3, 13)
PLATFORMS = {"linux": "Linux", "darwin": "macOS"}
# PostgreSQL stops at the first write that finds no room, and its log grows in steps of 16 MiB.
SCARCE_BYTES, SPARSE_BYTES = 64 * 1024**2, 1024**3
EARLIEST, LATEST = datetime(2025, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


def look_at_python(_: Examination) -> Finding:
    """Check the version of Python."""
    return judge_python(sys.version_info[:3], platform.python_implementation())


def judge_python(version: tuple[int, ...], implementation: str) -> Finding:
    """Compare a version with the oldest that will do."""
    shown = f"{implementation} {'.'.join(map(str, version))}"
    if version < MINIMUM_PYTHON:
        needed = ".".join(map(str, MINIMUM_PYTHON))
        return Finding(
            "python", "error", f"{shown} is too old; {needed} or newer is needed.",
            f"Install it, for example with: uv python install {needed}",
        )  # fmt: skip
    if implementation != "CPython":
        return Finding("python", "warning", f"{shown} was never tried; CPython was.")
    return Finding("python", "ok", f"{shown} in {sys.prefix}.")


def look_at_platform(_: Examination) -> Finding:
    """Check the operating system."""
    return judge_platform(sys.platform, platform.release(), platform.machine())


def judge_platform(system: str, release: str, machine: str) -> Finding:
    """Tell whether the system is one that Mahavishnu runs on."""
    if system in PLATFORMS:
        return Finding("platform", "ok", f"{PLATFORMS[system]} {release}, {machine}.")
    return Finding(
        "platform", "error", f"Mahavishnu does not run on {system}.",
        "Use Linux or macOS; on Windows the Windows Subsystem for Linux.",
    )  # fmt: skip


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
        return Finding("disk", "error", f"No further file fits onto the disk of {folder}.", hint)
    if free < SPARSE_BYTES:
        return Finding(
            "disk", "error" if free < SCARCE_BYTES else "warning",
            f"Only {free / 1024**2:,.0f} MiB are free on the disk of {folder}.", hint,
        )  # fmt: skip
    return Finding("disk", "ok", f"{free / 1024**3:,.1f} GiB are free on the disk of {folder}.")


def _nearest(path: Path) -> Path:
    """Return `path`, or the nearest folder above it that is there."""
    return next(folder for folder in (path, *path.parents) if folder.exists())


def look_at_clock(_: Examination) -> Finding:
    """Check that the clock can be right."""
    return judge_clock(datetime.now(UTC))


def judge_clock(now: datetime) -> Finding:
    """Tell whether a time can be the present one."""
    if EARLIEST <= now < LATEST:
        return Finding("clock", "ok", f"It is {now:%Y-%m-%d %H:%M} UTC.")
    return Finding(
        "clock", "error", f"The clock says {now:%Y-%m-%d}, which cannot be.",
        "Set it, for example with: timedatectl set-ntp true",
    )  # fmt: skip
