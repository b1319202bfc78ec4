"""What systemd reads of a unit (`man systemd.service`)."""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from mahavishnu.services.units.unit import Unit

SUFFIX = ".service"
SYSTEMCTL = ("systemctl", "--user")
ASK_TIMEOUT_S = 30.0
_RESTART = {"always": "always", "on-failure": "on-failure", "never": "no"}


def unit_folder(environ: Mapping[str, str], home: Path) -> Path:
    """Return where units of a user's own are."""
    configured = environ.get("XDG_CONFIG_HOME", "")
    return (Path(configured) if configured else home / ".config") / "systemd/user"


def is_reached() -> bool:
    """Tell whether the user's systemd answers: it is there in a session, and with `loginctl enable-linger`."""
    if shutil.which(SYSTEMCTL[0]) is None:
        return False
    words = (*SYSTEMCTL, "show", "--property=Version")
    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, timeout=ASK_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def render_unit(
    unit: Unit, *, log: Path | None, whole_group: bool = True, final: tuple[int, ...] = ()
) -> str:
    """
    Return the text of a unit file; it prints to systemd's journal where `log` is None.

    With `whole_group` what it started ends with it. It is not started again after an exit code of `final`.
    """
    others = " ".join(f"mahavishnu-{name}{SUFFIX}" for name in unit.depends_on)
    return _sections(
        Unit={
            "Description": f"{unit.name}, kept by Mahavishnu",
            "Wants": others,
            "After": others,
            # A crash loop ends: five starts within two minutes, and it has failed.
            "StartLimitIntervalSec": "120",
            "StartLimitBurst": "5",
        },
        Service={
            "Type": "exec",
            "ExecStart": _words(unit.command),
            "ExecStop": _words(unit.stop_command),
            "Environment": " ".join(_quoted(each) for each in unit.environment),
            "WorkingDirectory": _plain(unit.working_directory or ""),
            "Restart": _RESTART[unit.restart],
            "RestartSec": "2",
            "RestartPreventExitStatus": " ".join(map(str, final)),
            "TimeoutStopSec": f"{unit.grace_s:g}",
            "KillMode": "mixed" if whole_group else "process",
            "UMask": "0077",
            "StandardOutput": f"append:{_plain(str(log))}" if log else "",
            "StandardError": f"append:{_plain(str(log))}" if log else "",
        },
        Install={"WantedBy": "default.target"},
    )


def _sections(**sections: Mapping[str, str]) -> str:
    """Write sections; what has no value is left out."""
    return "\n".join(
        f"[{name}]\n" + "".join(f"{key}={value}\n" for key, value in lines.items() if value)
        for name, lines in sections.items()
    )


def _words(words: tuple[str, ...]) -> str:
    # The first is the path of a program, where `$` means nothing else.
    return " ".join([*map(_quoted, words[:1]), *(_quoted(w).replace("$", "$$") for w in words[1:])])


def _quoted(word: str) -> str:
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{_plain(escaped)}"'


def _plain(word: str) -> str:
    return word.replace("%", "%%")
