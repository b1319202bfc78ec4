"""
What a running Claude Code uses, against what it has to.

It hands the environment of its settings on to its hooks, whichever file or option they came from. Which
command it asks for the key is not in there, and is looked for where it reads it.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mahavishnu.ai.bindings.seen import Seen, Undecided
from mahavishnu.ai.bindings.store import Expected
from mahavishnu.ai.bindings.words import asks_for
from mahavishnu.ai.secrets.binding import CLIENTS
from mahavishnu.ai.secrets.project import FILES
from mahavishnu.ai.secrets.worktrees import find_checkouts

NAME = "claude-code"
_NONE = ("", "none")
_KEYS = ("ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_API_KEY")
_HELPER = "apiKeyHelper"
_OFF = ("", "0", "false", "no", "off")
_MAX_BYTES = 1024 * 1024


def find_claude_faults(seen: Seen, expected: Expected) -> list[str]:
    """
    Return what is not as it has to be, without any key; empty where all is.

    Raises:
        Undecided: settings cannot be read.
    """
    environ, known = seen.environ, CLIENTS[NAME]
    faults = []
    url = environ.get(known.variable, "") or known.default
    if url.rstrip("/") != (expected.url or known.default).rstrip("/"):
        faults.append(f"requests go to {url}")
    faults += [
        f"{name} leads to a cloud"
        for name in known.clouds
        if environ.get(name, "").lower() not in _OFF
    ]
    faults += [f"{name} has a key" for name in _KEYS if environ.get(name, "") not in _NONE]
    if environ.get("ANTHROPIC_CUSTOM_HEADERS"):
        faults.append("ANTHROPIC_CUSTOM_HEADERS sends more along")
    if environ.get("ANTHROPIC_UNIX_SOCKET"):
        faults.append("ANTHROPIC_UNIX_SOCKET names another address")
    faults += [
        f"{place} has another {_HELPER}"
        for place, line in _helpers(seen)
        if not asks_for(line, expected, NAME)
    ]
    return faults


def _helpers(seen: Seen) -> Iterator[tuple[str, str]]:
    """Yield the commands that may be asked for the key: that of the options, else all of the project."""
    given = _given(seen)
    if given is not None and _HELPER in given:
        yield "--settings", str(given[_HELPER])
        return
    found = [
        (str(path), str(settings[_HELPER]))
        for path in _files(seen.project)
        if _HELPER in (settings := _read(path))
    ]
    yield from found or _users(seen)


def _users(seen: Seen) -> Iterator[tuple[str, str]]:
    folder = seen.environ.get("CLAUDE_CONFIG_DIR") or f"{seen.environ.get('HOME', '')}/.claude"
    path = Path(folder) / "settings.json"
    settings = _read(path)
    if _HELPER in settings:
        yield str(path), str(settings[_HELPER])


def _files(folder: Path) -> Iterator[Path]:
    """Yield the settings of a project, up to the root of its repository, and of its main checkout."""
    for each in (folder, *folder.parents):
        places = [each, *find_checkouts(each)] if each == folder or (each / ".git").exists() else []
        yield from (place / name for place in places for name in FILES)
        if (each / ".git").exists():
            return


def _given(seen: Seen) -> dict[str, Any] | None:
    """Return what `--settings` says; None where it is not given, or options cannot be seen here."""
    words = seen.words() or []
    for number, word in enumerate(words):
        name, mark, value = word.partition("=")
        if name != "--settings":
            continue
        said = value if mark else "".join(words[number + 1 : number + 2])
        if said.lstrip().startswith("{"):
            return _parse(said.encode(), "--settings")
        return _read(seen.project / said)
    return None


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as stream:
            return _parse(stream.read(_MAX_BYTES), str(path))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as exc:
        raise Undecided(f"{path} cannot be read") from exc


def _parse(content: bytes, place: str) -> dict[str, Any]:
    try:
        values = json.loads(content or b"{}")
    except (ValueError, RecursionError) as exc:
        raise Undecided(f"{place} cannot be understood") from exc
    return values if isinstance(values, dict) else {}
