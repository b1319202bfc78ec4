"""By which settings a session of Claude Code goes: all files that it reads, and the words it was started with."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mahavishnu.ai.clients.claude_code.settings import HELPER, PROJECT_FILE, SIGN_IN
from mahavishnu.ai.clients.project import find_project
from mahavishnu.ai.clients.running import word_after
from mahavishnu.ai.clients.transcripts import decode_object
from mahavishnu.ai.foreign_files.documents.json_document import JsonDocument
from mahavishnu.base.errors import MahavishnuError

_MANAGED = Path("/etc/claude-code/managed-settings.json")
_MAX_BYTES = 4_194_304
_SOURCES = ("user", "project", "local")
type Layer = Mapping[str, Any]


@dataclass(frozen=True)
class Layers:
    """
    What the session goes by now, as one document; `own` says that the words it was started with give its
    address or key, which override every file, or pass over the user's settings.
    """

    document: JsonDocument
    own: bool


def read_layers(
    *, user: Path, folder: str, words: Sequence[str], exported: Mapping[str, str]
) -> Layers:
    """
    Return the layers of a session that works in `folder`.

    From the weakest: `exported` variables, the user's file, the project's, the project's local one,
    `--settings`, the administrator's; `--setting-sources` may leave some out. A file that cannot be read
    counts as empty.
    """
    given = _given(words, folder)
    sources = word_after("--setting-sources", words) or ",".join(_SOURCES)
    chosen = {each.strip() for each in sources.split(",")}
    paths = dict(zip(_SOURCES, (user, *_project_files(folder, user)), strict=False))
    layers: list[Layer] = [{"env": dict(exported)}]
    layers += [_read(path) for source, path in paths.items() if source in chosen]
    layers += [given, _read(_MANAGED)]
    merged: dict[str, Any] = {}
    for each in layers:
        variables = {**_variables(merged), **_variables(each)}
        merged |= {**each, "env": variables}
    said = _variables(given)
    own = any(name in said for name in SIGN_IN) or HELPER[0] in given or "user" not in chosen
    return Layers(JsonDocument.parse(json.dumps(merged).encode()), own)


def _given(words: Sequence[str], folder: str) -> Layer:
    """Return what `--settings` says, a file's path, from the session's folder, or JSON itself."""
    value = word_after("--settings", words)
    if value.lstrip().startswith("{"):
        return _decoded(os.fsencode(value))
    return _read(Path(folder) / value) if value else {}


def _project_files(folder: str, user: Path) -> list[Path]:
    if not folder.startswith("/"):
        return []
    try:
        project = find_project(Path(folder), {"HOME": str(user.parent.parent)}, PROJECT_FILE)
    except (MahavishnuError, OSError, ValueError):
        return []
    return [(project / PROJECT_FILE).with_name("settings.json"), project / PROJECT_FILE]


def _read(path: Path) -> Layer:
    try:
        with path.open("rb") as stream:
            return _decoded(stream.read(_MAX_BYTES))
    except (OSError, ValueError):
        return {}


def _decoded(content: bytes) -> Layer:
    return decode_object(content) or {}


def _variables(settings: Layer) -> Mapping[str, Any]:
    said = settings.get("env")
    return said if isinstance(said, dict) else {}
