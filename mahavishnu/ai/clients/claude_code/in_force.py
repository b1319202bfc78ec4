"""
What a running Claude Code uses, against what it has to.

It hands the environment of its settings on to its hooks, whichever file or option they came from. Which
command it asks for the key is not in there, and is looked for where it reads it.
"""

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mahavishnu.ai.clients.claude_code import FACTS
from mahavishnu.ai.clients.claude_code.key_settings import FILES
from mahavishnu.ai.clients.facts import Expected
from mahavishnu.ai.clients.hook_call import HookCall, parse_settings, read_settings
from mahavishnu.ai.clients.key_command import are_for
from mahavishnu.ai.clients.requests import find_clouds
from mahavishnu.ai.clients.table import DEFAULT_CLIENT
from mahavishnu.ai.secrets.worktrees import find_checkouts

_NONE = ("", "none")
_KEYS = ("ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_API_KEY")
_HELPER = "apiKeyHelper"
_ADDRESS = "ANTHROPIC_BASE_URL="


def find_faults(
    call: HookCall,
    expected: Expected,
    profile: str,  # noqa: ARG001 - the same for all clients
    judged: Path,  # noqa: ARG001
) -> list[str]:
    """
    Return what is not as it has to be, without any key; empty where all is.

    Raises:
        Undecided: settings cannot be read.
    """
    environ = call.environ
    faults = []
    url = environ.get(FACTS.url_variable, "") or FACTS.default_url
    if url.rstrip("/") != (expected.url or FACTS.default_url).rstrip("/"):
        faults.append(f"requests go to {url}")
    faults += [f"{name} leads to a cloud" for name in find_clouds(FACTS, environ)]
    faults += [f"{name} has a key" for name in _KEYS if environ.get(name, "") not in _NONE]
    if environ.get("ANTHROPIC_CUSTOM_HEADERS"):
        faults.append("ANTHROPIC_CUSTOM_HEADERS sends more along")
    if environ.get("ANTHROPIC_UNIX_SOCKET"):
        faults.append("ANTHROPIC_UNIX_SOCKET names another address")
    faults += [
        f"{place} has another {_HELPER}"
        for place, line in _helpers(call)
        if not _asks_for(line, expected)
    ]
    return faults


def _asks_for(line: str, expected: Expected) -> bool:
    """Tell whether a line for a shell asks for the profile's key; without one, whether it asks for none."""
    if not line or not expected.key:
        return not line and not expected.key
    try:
        given = shlex.split(line)
    except ValueError:
        return False
    words = given[1:] if given and given[0].startswith(_ADDRESS) else given
    return bool(words) and are_for(words, expected, DEFAULT_CLIENT)


def _helpers(call: HookCall) -> Iterator[tuple[str, str]]:
    """Yield the commands that may be asked for the key: that of the options, else all of the project."""
    given = _given(call)
    if given is not None and _HELPER in given:
        yield "--settings", str(given[_HELPER])
        return
    found = [
        (str(path), str(settings[_HELPER]))
        for path in _files(call.project)
        if _HELPER in (settings := read_settings(path, json.loads))
    ]
    yield from found or _users(call)


def _users(call: HookCall) -> Iterator[tuple[str, str]]:
    folder = call.environ.get("CLAUDE_CONFIG_DIR") or f"{call.environ.get('HOME', '')}/.claude"
    path = Path(folder) / "settings.json"
    settings = read_settings(path, json.loads)
    if _HELPER in settings:
        yield str(path), str(settings[_HELPER])


def _files(folder: Path) -> Iterator[Path]:
    """Yield the settings of a project, up to the root of its repository, and of its main checkout."""
    for each in (folder, *folder.parents):
        places = [each, *find_checkouts(each)] if each == folder or (each / ".git").exists() else []
        yield from (place / name for place in places for name in FILES)
        if (each / ".git").exists():
            return


def _given(call: HookCall) -> dict[str, Any] | None:
    """Return what `--settings` says; None where it is not given, or options cannot be seen here."""
    words = call.words() or []
    for number, word in enumerate(words):
        name, mark, value = word.partition("=")
        if name != "--settings":
            continue
        said = value if mark else "".join(words[number + 1 : number + 2])
        if said.lstrip().startswith("{"):
            return parse_settings(said.encode(), "--settings", json.loads)
        return read_settings(call.project / said, json.loads)
    return None
