"""Checks of the installation: who else owns the name, and which `mahavishnu` a shell would run."""

import os
import re
import sysconfig
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path

from mahavishnu.services.doctor.findings import Examination, Finding

OURS = "mahavishnu-ai"
NAME = "mahavishnu"


def look_at_package(_: Examination) -> Finding:
    """Check that no other distribution owns the package, the command or the name."""
    return judge_owners(distributions())


def judge_owners(installed: Iterable[Distribution]) -> Finding:
    """Name the distributions that provide what is ours."""
    others = sorted({name for each in installed if (name := _other_owner(each))})
    if not others:
        return Finding("package", "ok", f"No other distribution than {OURS} owns the name {NAME}.")
    return Finding(
        "package",
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


def look_at_command(examination: Examination) -> Finding:
    """Check which `mahavishnu` a shell runs."""
    return judge_command(
        Path(sysconfig.get_path("scripts")) / NAME, examination.environ.get("PATH", "")
    )


def judge_command(ours: Path, search_path: str) -> Finding:
    """Tell whether the first `mahavishnu` of the search path is `ours`, or leads to it."""
    first = next(_commands(search_path), None)
    if first is None:
        return Finding(
            "command", "info", f"No folder of PATH holds {NAME}; this one is {ours}.",
            f"Add {ours.parent} to PATH.",
        )  # fmt: skip
    if ours.exists() and first.samefile(ours):
        return Finding("command", "ok", f"{first} is this one.")
    return Finding(
        "command", "warning", f"A shell runs {first}, which is another one than {ours}.",
        f"See all of them with: type -a {NAME}; put {ours.parent} first in PATH, or remove the other.",
    )  # fmt: skip


def _commands(search_path: str) -> Iterator[Path]:
    for folder in search_path.split(os.pathsep):
        found = Path(folder) / NAME
        if os.access(found, os.X_OK) and found.is_file():
            yield found
