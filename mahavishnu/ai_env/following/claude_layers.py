"""By which settings a session of Claude Code goes: all files that it reads, and the words it was started with."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mahavishnu.ai_env.clients.claude_code import HELPER, SIGN_IN, URL
from mahavishnu.ai_env.documents.json_document import JsonDocument
from mahavishnu.ai_env.places import find_project
from mahavishnu.ai_env.sessions.transcripts import decode_object
from mahavishnu.errors import MahavishnuError

_MANAGED = Path("/etc/claude-code/managed-settings.json")
_MAX_BYTES = 4_194_304
type Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Layers:
    """
    What the session goes by now, as one document; `own` says that its address or key is given by the
    words it was started with, which go before every file.
    """

    document: JsonDocument
    own: bool


def read_layers(
    *, user: Path, folder: str, words: Sequence[str], exported: Mapping[str, str]
) -> Layers:
    """
    Return the layers of a session that works in `folder`.

    From the weakest: `exported` variables, the user's file, the project's, the project's local one,
    `--settings`, the administrator's. A file that cannot be read counts as empty.
    """
    given = _given(words)
    layers: list[Settings] = [{"env": dict(exported)}, _read(user)]
    layers += [_read(path) for path in _project_files(folder, user)]
    layers += [given, _read(_MANAGED)]
    merged: dict[str, Any] = {}
    for each in layers:
        variables = {**_variables(merged), **_variables(each)}
        merged |= {**each, "env": variables}
    said = _variables(given)
    own = any(name in said for name in SIGN_IN) or HELPER[0] in given
    return Layers(JsonDocument.parse(json.dumps(merged).encode()), own)


def _given(words: Sequence[str]) -> Settings:
    """Return what `--settings` says, a file's path or JSON itself."""
    for place, word in enumerate(words):
        if word == "--settings" and place + 1 < len(words):
            value = words[place + 1]
        elif word.startswith("--settings="):
            value = word.partition("=")[2]
        else:
            continue
        return (
            _decoded(os.fsencode(value)) if value.lstrip().startswith("{") else _read(Path(value))
        )
    return {}


def _project_files(folder: str, user: Path) -> list[Path]:
    if not folder.startswith("/"):
        return []
    try:
        project = find_project(Path(folder), {"HOME": str(user.parent.parent)})
    except (MahavishnuError, OSError, ValueError):
        return []
    return [project / ".claude" / name for name in ("settings.json", "settings.local.json")]


def _read(path: Path) -> Settings:
    try:
        with path.open("rb") as stream:
            return _decoded(stream.read(_MAX_BYTES))
    except (OSError, ValueError):
        return {}


def _decoded(content: bytes) -> Settings:
    return decode_object(content) or {}


def _variables(settings: Settings) -> Mapping[str, Any]:
    said = settings.get("env")
    return said if isinstance(said, dict) else {}


def address_of(layers: Layers) -> str:
    """Return the address that the session asks, empty for the client's own."""
    value = layers.document.get(("env", URL))
    return value if isinstance(value, str) else ""
