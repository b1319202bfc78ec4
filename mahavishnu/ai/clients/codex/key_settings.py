"""
Whether the settings of Codex still lead where a key is bound to, since it tells the command nothing of that.

Address and command are in one table there, and are written together; a hand or another program can
change one alone. Standard library only: Codex waits for the command.
"""

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mahavishnu.ai.clients.key_command import Asked, read_words
from mahavishnu.ai.secrets.binding import origin_of, origin_or_none
from mahavishnu.base.errors import Forbidden, MahavishnuError

FILE = "config.toml"


def require_settings(
    asked: Asked,
    *,
    folder: Path,  # noqa: ARG001 - the same for all clients
    environ: Mapping[str, str],
) -> None:
    """
    Refuse where a provider whose command asks for this key has an address elsewhere.

    There may be no such provider: a thread that was open at a switch asks with the earlier words,
    and that of `ai run` is in no file.

    Raises:
        Forbidden: `secret.other_host`; also where settings cannot be read.
    """
    wanted = origin_of(asked.bound)
    for path, settings in _layers(environ):
        for name, provider in _tables(settings.get("model_providers")):
            if not _asks(provider, asked):
                continue
            address = origin_or_none(str(provider.get("base_url") or ""))
            if address != wanted:
                raise Forbidden(
                    f"The key is bound to {wanted}, and the provider {name} of {path} takes it to"
                    f" {address or 'an address of another kind'}.",
                    hint="Switch with: mahavishnu ai switch-llm",
                    code="secret.other_host",
                )


def _layers(environ: Mapping[str, str]) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield the user's settings, then those with each file on top that `--profile` can name."""
    folder = folder_of(environ)
    path = folder / FILE
    try:
        there = sorted(folder.iterdir())
        users = _read(path) if path in there else {}
        yield path, users
        for path in (each for each in there if each.name.endswith(f".{FILE}")):
            yield path, lay_over(users, _read(path))
    except (FileNotFoundError, NotADirectoryError):
        return
    except (OSError, ValueError, RecursionError) as exc:
        raise Forbidden(
            f"Mahavishnu cannot tell where Codex takes the key: {path} cannot be read.",
            hint="Correct it in an editor.",
            code="secret.other_host",
        ) from exc


def folder_of(environ: Mapping[str, str]) -> Path:
    """Return where Codex keeps its settings."""
    return Path(environ.get("CODEX_HOME") or f"{environ.get('HOME', '')}/.codex")


def _read(path: Path) -> dict[str, Any]:
    with path.open("rb") as stream:
        return tomllib.load(stream)


def lay_over(below: Any, above: Any) -> Any:
    """Return settings with others over them, table by table."""
    if not isinstance(below, dict) or not isinstance(above, dict):
        return above
    return below | {name: lay_over(below.get(name), value) for name, value in above.items()}


def _tables(value: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, each in value.items() if isinstance(value, dict) else ():
        if isinstance(each, dict):
            yield name, each


def _asks(provider: dict[str, Any], asked: Asked) -> bool:
    """Tell whether the command of a provider asks for just this."""
    auth = provider.get("auth")
    arguments = auth.get("args") if isinstance(auth, dict) else None
    try:
        return read_words([*map(str, arguments)] if isinstance(arguments, list) else []) == asked
    except MahavishnuError:
        return False
