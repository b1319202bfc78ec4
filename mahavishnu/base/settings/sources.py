"""
Find the settings, merge them by rank, check them once: flags > environment > project > user > defaults.

Those of a project count only where `trust` says so.
"""

import difflib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mahavishnu.base.paths import Locations, locate, working_folder
from mahavishnu.base.settings.files import read_settings
from mahavishnu.base.settings.keys import find_setting, setting_keys
from mahavishnu.base.settings.legacy import find_legacy_variable
from mahavishnu.base.settings.merge import Setting, build_settings, merge_layers
from mahavishnu.base.settings.profiles import WrongProfile
from mahavishnu.base.settings.tree import Settings
from mahavishnu.base.settings.trust import PROJECT_FILES, find_project_settings, is_trusted

ENVIRONMENT = {
    "MAHAVISHNU_LOG_LEVEL": "log_level",
    "MAHAVISHNU_PG_DSN": "postgresql.dsn",
    "MAHAVISHNU_PG_DIRECT_DSN": "postgresql.direct_dsn",
    "MAHAVISHNU_PG_HOST": "postgresql.host",
    "MAHAVISHNU_PG_PORT": "postgresql.port",
    "MAHAVISHNU_PG_DATABASE": "postgresql.database",
    "MAHAVISHNU_PG_USER": "postgresql.user",
    "MAHAVISHNU_PG_PASSWORD": "postgresql.password",
    "MAHAVISHNU_PG_POOL_SIZE": "postgresql.pool_size",
    "MAHAVISHNU_PG_STATEMENT_TIMEOUT": "postgresql.statement_timeout",
    "MAHAVISHNU_PG_BINARIES": "postgresql.binaries",
    "MAHAVISHNU_PG_IDLE_TIMEOUT": "postgresql.idle_timeout",
    "MAHAVISHNU_EMBEDDING_PROVIDER": "embedding.provider",
    "MAHAVISHNU_EMBEDDING_MODEL": "embedding.model",
    "MAHAVISHNU_OPENAI_BASE_URL": "embedding.openai_base_url",
    "MAHAVISHNU_OPENAI_API_KEY": "embedding.openai_api_key",
    "MAHAVISHNU_PORT": "server.port",
    "MAHAVISHNU_SYNC_MIRROR_PATH": "sync.mirror.path",
    "MAHAVISHNU_BACKUP_DSN": "backup.dsn",
    "MAHAVISHNU_TELEMETRY": "telemetry.enabled",
    "OLLAMA_BASE_URL": "embedding.ollama_base_url",
    "OLLAMA_MODEL": "embedding.model",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "telemetry.endpoint",
}
# Read by other modules.
OTHER_ENVIRONMENT = frozenset({"MAHAVISHNU_HOME", "MAHAVISHNU_AGE_IDENTITY"})


@dataclass(frozen=True)
class Loaded:
    """
    The settings in force, where each value came from, and what the reader should know.

    `untrusted` is the project whose `settings/` were not read; `wrong_profiles` are not in `settings`,
    and nothing else takes their names.
    """

    settings: Settings
    origins: Mapping[str, Setting]
    notices: tuple[str, ...]
    locations: Locations
    environ: Mapping[str, str] = field(repr=False)
    untrusted: Path | None = None
    wrong_profiles: Mapping[str, WrongProfile] = field(default_factory=dict)


def load_settings(
    *,
    environ: Mapping[str, str] | None = None,
    folder: Path | str | None = None,
    flags: Mapping[str, Any] | None = None,
) -> Loaded:
    """
    Read every source and return the merged, checked settings.

    Args:
        environ: the environment; the process's own by default.
        folder: where to look for a project's `settings/`; the working directory by default.
        flags: values by dotted key, of the highest rank.

    Raises:
        UsageError: an unknown key (with the nearest one) or a value of the wrong type, but not in a profile:
            such a one is in `wrong_profiles`.
        Corrupt: a file that is no YAML mapping.
        NotFound: `settings.no_working_folder`.
    """
    environ = os.environ if environ is None else environ
    locations = locate(environ)
    notices: list[str] = []
    layers: list[tuple[str, dict[str, Any]]] = [
        (str(locations.user_settings), read_settings(locations.user_settings))
    ]
    project = find_project_settings(Path(folder or working_folder()), environ)
    trusted = project is not None and is_trusted(project, locations)
    if project is not None and trusted:
        for name in PROJECT_FILES:
            path = project / "settings" / name
            layers.append((str(path), read_settings(path)))
    elif project is not None:
        notices.append(
            f"{project / 'settings'} is not trusted and was not read; "
            f"to trust it: mahavishnu config trust {project}"
        )
    layers.append(("environment", _read_environment(environ)))
    layers.append(("flag", dict(flags or {})))
    merged, wrong = merge_layers(layers, environ, notices)
    settings = build_settings(merged)
    notices += _mention_unknown(environ, settings)
    untrusted = None if trusted else project
    return Loaded(settings, merged, tuple(notices), locations, environ, untrusted, wrong)


def lookup(settings: Settings, key: str) -> Any:
    """Return the value of a dotted key."""
    value: Any = settings
    for part in key.split("."):
        value = value[part] if isinstance(value, dict) else getattr(value, part)
    return value


def keys_in_force(loaded: Loaded) -> tuple[str, ...]:
    """Return the keys of all settings, in order; of those with a name, the ones that are given."""
    return tuple(
        key
        for setting in setting_keys()
        for key in (
            sorted(each for each in loaded.origins if find_setting(each, [setting]))
            if "*" in setting
            else [setting]
        )
    )


def _read_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    # Of two names of one setting the first counts: that of our own before that of Ollama.
    named = reversed(ENVIRONMENT.items())
    return {key: environ[name] for name, key in named if environ.get(name)}


def _mention_unknown(environ: Mapping[str, str], settings: Settings) -> Iterator[str]:
    """Yield a notice for each unknown variable of ours; keys that are required are known."""
    secrets = settings.secrets.env
    keys = {f"{secrets.prefix}{name}" for name in secrets.required_keys}
    for name in sorted(environ):
        if (
            name.startswith("MAHAVISHNU_")
            and name not in ENVIRONMENT.keys() | OTHER_ENVIRONMENT | keys
        ):
            yield f"The environment variable {name} means nothing here. {_advice(name)}".strip()


def _advice(name: str) -> str:
    """Return what became of the key that a variable is named like, else the nearest variable."""
    if legacy := find_legacy_variable(name):
        return legacy.answer or f"Its setting is now called {legacy.now}."
    near = difflib.get_close_matches(name, ENVIRONMENT, n=1)
    return f"Did you mean {near[0]}?" if near else ""
