"""Where the file of bound directories is, told without reading anything: a client waits for the answer."""

import sys
from collections.abc import Mapping
from pathlib import Path


def path_in(state: Path) -> Path:
    """Return where the file is, below the folder of our state."""
    return state / "ai" / "directories.json"


def copy_of(path: Path) -> Path:
    """Return where its copy is."""
    return path.with_name("directories.copy.json")


def state_folder(environ: Mapping[str, str]) -> Path:
    """Return the folder of our state, as `locate` would, which takes longer than all the rest here."""
    root = environ.get("MAHAVISHNU_HOME")
    if root:
        return Path(root).expanduser() / "state"
    home = Path(environ.get("HOME") or "~").expanduser()
    if sys.platform == "darwin":
        return home / "Library" / "Application Support" / "mahavishnu"
    given = environ.get("XDG_STATE_HOME", "").strip()
    return (Path(given) if given else home / ".local" / "state") / "mahavishnu"
