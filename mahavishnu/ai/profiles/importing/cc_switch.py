"""
The providers that cc-switch keeps in its database, for Claude Code and Codex; it is opened read-only.

One row of `providers` is one provider of one client: `settings_config` is what would be written to the
client's files, as JSON, and `meta` says which protocol the provider speaks where that is another.
"""

import json
import sqlite3
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from mahavishnu.ai.clients.table import CLIENTS
from mahavishnu.ai.profiles.importing.claude_code import claude_entry, key_of
from mahavishnu.ai.profiles.importing.found import (
    FoundProvider,
    PassedOver,
    name_of,
    name_of_host,
    require_real,
    text_of,
)
from mahavishnu.ai.profiles.profile import ProfileEntry
from mahavishnu.base.errors import Corrupt, MahavishnuError, NotFound
from mahavishnu.base.masking import Secret

_APPS = {each.cc_switch: each for each in CLIENTS.values() if each.cc_switch}
# What cc-switch calls the protocols, as our keys of addresses.
FORMATS = {
    "anthropic": "anthropic_base_url",
    "openai_responses": "openai_responses_base_url",
    "openai_chat": "openai_chat_base_url",
}
MAX_PROVIDERS = 1_000
LOCKED_S = 1.0  # how long to wait for cc-switch, which writes for an instant
_QUERY = "SELECT app_type, name, settings_config, meta FROM providers ORDER BY app_type, name, id LIMIT ?"


class Row(NamedTuple):
    """A row of `providers`, unchanged."""

    app: str
    name: str
    settings: str
    meta: str


def database_of(home: Path) -> Path:
    """Return where cc-switch keeps its providers."""
    return home / ".cc-switch" / "cc-switch.db"


def read_rows(path: Path) -> list[Row]:
    """
    Return the rows of cc-switch's database, which is not changed.

    Raises:
        NotFound: `ai.import_nothing`.
        Corrupt: `ai.import_unreadable`, this is no database of cc-switch, or one of another shape.
    """
    return [Row(*(str(cell or "") for cell in row)) for row in _ask(path)]


def _ask(path: Path) -> list[tuple[Any, ...]]:
    if not path.is_file():
        raise NotFound(
            f"cc-switch has no database at {path}.",
            hint="Name another with --path.",
            code="ai.import_nothing",
        )
    try:
        with closing(sqlite3.connect(_address(path), uri=True, timeout=LOCKED_S)) as database:
            return database.execute(_QUERY, (MAX_PROVIDERS,)).fetchall()
    except (sqlite3.Error, OSError) as error:
        raise Corrupt(
            f"{path} cannot be read as a database of cc-switch.",
            hint="Close cc-switch, or bring it up to date, and try again.",
            code="ai.import_unreadable",
        ) from error


def _address(path: Path) -> str:
    """
    Return the address by which SQLite only reads the file.

    Of a database with a write-ahead log, which nobody has open, it would make that log to read it.
    """
    with path.open("rb") as stream:
        logs = stream.read(20)[18:] == b"\x02\x02"
    unused = logs and not Path(f"{path}-wal").exists()
    return f"file:{quote(str(path))}?mode=ro{'&immutable=1' if unused else ''}"


def read_cc_switch(rows: Iterable[Row]) -> Iterator[FoundProvider | PassedOver]:
    """Yield each provider, or why it is not taken over; no error of one ends the others."""
    for row in rows:
        label = f"{row.name} ({_APPS[row.app].title if row.app in _APPS else row.app})"
        try:
            yield _read(row, label)
        except (ValueError, RecursionError):  # of JSON and TOML; it would hold the text
            yield PassedOver(label, "its settings cannot be read")
        except MahavishnuError as error:
            yield PassedOver(label, error.message)


def _read(row: Row, label: str) -> FoundProvider | PassedOver:
    client = _APPS.get(row.app)
    if client is None:
        return PassedOver(label, "this client is not managed here")
    settings, meta = _mapping(json.loads(row.settings)), _mapping(json.loads(row.meta or "{}"))
    spoken = text_of(meta, "apiFormat") or text_of(settings, "apiFormat", "api_format")
    found = _of_env(settings) if "anthropic" in client.protocols else _of_config(settings)
    if found is None:
        return PassedOver(label, "it is the client's own sign-in, which is built in")
    entry, secret = found
    key, url = next((k, u) for k in FORMATS.values() if (u := getattr(entry, k)))
    said: dict[str, Any] = {**vars(entry), "title": row.name or None}
    said |= {key: None, FORMATS.get(spoken or "", key): url}
    return FoundProvider(
        name_of(row.name) or name_of_host(url), label, ProfileEntry(**said), secret
    )


def _of_env(settings: Mapping[str, object]) -> tuple[ProfileEntry, Secret | None] | None:
    env = _mapping(settings.get("env"))
    url = text_of(env, "ANTHROPIC_BASE_URL")
    if url is None:
        return None
    secret, header = key_of(env)
    return claude_entry(env, url, header), secret


def _of_config(settings: Mapping[str, object]) -> tuple[ProfileEntry, Secret | None] | None:
    config: Mapping[str, Any] = tomllib.loads(text_of(settings, "config") or "")
    chosen = text_of(config, "model_provider")
    provider = _mapping(_mapping(config.get("model_providers")).get(chosen or ""))
    url = text_of(provider, "base_url") or text_of(config, "openai_base_url")
    if url is None:
        return None
    spoken = "openai_chat" if text_of(provider, "wire_api") == "chat" else "openai_responses"
    secret = text_of(provider, "experimental_bearer_token") or text_of(
        _mapping(settings.get("auth")), "OPENAI_API_KEY"
    )
    variable = text_of(provider, "env_key")
    addresses: dict[str, Any] = {FORMATS[spoken]: url}
    entry = ProfileEntry(
        model=text_of(config, "model"),
        key=f"env:{variable}" if variable and not secret else None,
        **addresses,
    )
    return entry, require_real(secret) if secret else None


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
