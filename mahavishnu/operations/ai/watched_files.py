"""The files of settings that a daemon watches: those of Mahavishnu, and those of the AI clients that are managed."""

import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from mahavishnu.ai.clients.table import CLIENTS, ClientName
from mahavishnu.ai.foreign_files.documents.port import show_path
from mahavishnu.ai.foreign_files.own_writes import is_own_write
from mahavishnu.ai.switching.drift import find_drift
from mahavishnu.ai.switching.site import Site
from mahavishnu.base.errors import MahavishnuError
from mahavishnu.base.settings.files import read_settings
from mahavishnu.base.settings.sources import Loaded, load_settings
from mahavishnu.operations.ai.site import Environments
from mahavishnu.services.watch.changes import WatchedFile

OWN = "mahavishnu"
# Operations on AI clients read these again each time.
AT_ONCE = ("ai_environments.", "secrets.")


def watched_files(loaded: Loaded) -> Sequence[WatchedFile]:
    """Return the files; of clients those that are enabled and there. Broken settings keep the clients of `loaded`."""
    try:
        site = Environments.outside_projects(loaded).site
    except MahavishnuError:
        site = Environments(loaded, folder=loaded.locations.state).site
    return [*_own_files(loaded), *_clients(site)]


def affected_units(keys: Sequence[str]) -> tuple[str, ...]:
    """Return the units whose settings these are, in order."""
    names = (key.split(".") for key in keys)
    found = [
        "session-buddy" if parts[0] == "session_buddy" else parts[1]
        for parts in names
        if parts[0] == "session_buddy" or (parts[0] == "services" and len(parts) > 2)
    ]
    return tuple(dict.fromkeys(found))


def _own_files(loaded: Loaded) -> Iterator[WatchedFile]:
    """Yield the user's settings, and those of a trusted project that were in force when the daemon began."""
    user = loaded.locations.user_settings
    origins = {Path(each.origin) for each in loaded.origins.values()}
    for path in sorted({user} | {each for each in origins if each.is_absolute()}):
        folder = loaded.locations.state if path == user else path.parent.parent
        name = OWN if path == user else f"{OWN} {path}"
        yield WatchedFile(
            name, path, partial(_read_own, path, loaded, folder), describe=_describe_own
        )


def _read_own(path: Path, loaded: Loaded, folder: Path, _: bytes) -> Mapping[str, Any]:
    load_settings(environ=loaded.environ, folder=folder)
    return read_settings(path)


def _describe_own(keys: Sequence[str]) -> str:
    later = [key for key in keys if not key.startswith(AT_ONCE) and not affected_units([key])]
    return f"only the next start of the daemon reads {', '.join(later[:5])}" if later else ""


def _clients(site: Site) -> Iterator[WatchedFile]:
    for name in CLIENTS:
        if not site.settings_of(name).enabled or not site.has(name):
            continue
        path = site.path_of(name, "user")
        yield WatchedFile(
            name,
            path,
            partial(_read_client, name, path),
            partial(is_own_write, path, site.locks),
            partial(_describe_drift, site, name),
        )


def _read_client(name: ClientName, path: Path, content: bytes) -> Mapping[str, Any]:
    client = CLIENTS[name]
    client.check(client.read_as().parse(content))
    text = content.decode() if content.strip() else ""
    if path.suffix == ".toml":
        return dict(_flatten(tomllib.loads(text), ()))
    return dict(_flatten(json.loads(text or "{}"), ()))


def _flatten(value: Any, path: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and (value or not path):
        for name, inner in value.items():
            yield from _flatten(inner, (*path, name))
    else:
        yield show_path(path), value


def _describe_drift(site: Site, name: ClientName, _: Sequence[str]) -> str:
    """Say what of ours is no longer as we wrote it."""
    place = site.place(name, "user", site.journal.read())
    if place.memory.profile is None:
        return ""
    drift = find_drift(place, site.open(place.client, place.path).read())
    paths = ", ".join(show_path(each.path) for each in drift)
    return f"not as Mahavishnu wrote it: {paths}; see: mahavishnu ai diff" if drift else ""
