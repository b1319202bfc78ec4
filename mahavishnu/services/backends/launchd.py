"""What launchd reads of a unit (`man launchd.plist`)."""

import plistlib
from pathlib import Path
from typing import Any

from mahavishnu.services.units.unit import Unit

_KEEP_ALIVE: dict[str, object] = {
    "always": True,
    "on-failure": {"SuccessfulExit": False},
    "never": False,
}


def agents_folder(home: Path) -> Path:
    """Return where agents of a user's own are, which start at login."""
    return home / "Library/LaunchAgents"


def render_plist(unit: Unit, *, label: str, log: Path, whole_group: bool = True) -> str:
    """Return a property list; with `whole_group` what the unit started ends with it."""
    lines: dict[str, Any] = {
        "Label": label,
        "ProgramArguments": [*unit.command],
        "EnvironmentVariables": dict(each.split("=", 1) for each in unit.environment),
        "WorkingDirectory": unit.working_directory,
        "RunAtLoad": unit.enabled,
        "KeepAlive": _KEEP_ALIVE[unit.restart],
        "ExitTimeOut": max(1, round(unit.grace_s)),
        "AbandonProcessGroup": not whole_group,
        "Umask": 0o077,
        "StandardOutPath": str(log),
        "StandardErrorPath": str(log),
    }
    given = {key: value for key, value in lines.items() if value is not None}
    return plistlib.dumps(given, sort_keys=False).decode()
