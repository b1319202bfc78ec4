"""
Which directories are bound to which profile: one file of ours, and a copy of it.

The guard reads it before every prompt of every client, so that the standard library has to do. What is
damaged is never taken for "nothing is bound": then the copy counts, and without it nobody can tell.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mahavishnu.ai.bindings.location import copy_of
from mahavishnu.ai.clients.facts import Expected

MAX_BYTES = 4 * 1024 * 1024
_VERSION = 1
_TEXTS = ("profile", "at", "inside", "home", "entry", "settings", "hooks_off")


class Unreadable(Exception):
    """The file says something else than it should, or cannot be read."""


class FolderIdentity(NamedTuple):
    """A folder by its path, and by what stays where it is renamed."""

    path: str
    device: int
    inode: int


class Binding(NamedTuple):
    """
    One directory.

    `repository` is git's own folder, shared by all worktrees, and `inside` the way to the directory from
    a checkout's root. `home` is MAHAVISHNU_HOME where that was set. `entry` is the id of the switch that
    wrote the project's settings, `settings` where that was, and `hooks_off` what they said of hooks before;
    empty where there is none.
    """

    profile: str
    folder: FolderIdentity
    clients: Mapping[str, Expected]
    at: str
    repository: FolderIdentity | None = None
    inside: str = ""
    home: str = ""
    entry: str = ""
    settings: str = ""
    hooks_off: str = ""


class Bindings(NamedTuple):
    """
    All of them. `made` are settings files that were made for the guard alone.

    `damaged` says that the file is gone or cannot be read, and its copy was taken.
    """

    rows: tuple[Binding, ...]
    made: tuple[str, ...] = ()
    damaged: bool = False


def read_bindings(path: Path) -> Bindings:
    """
    Return the bindings; none where nothing was ever bound.

    Raises:
        Unreadable: neither the file nor its copy can be read, or one is gone and the other cannot be.
    """
    found = _read_or_none(path)
    if found is not None:
        return found
    copy = _read_or_none(copy_of(path))
    if copy is not None:
        return copy._replace(damaged=True)
    if any(map(os.path.lexists, (path, copy_of(path)))):
        raise Unreadable
    return Bindings(())


def render(bindings: Bindings) -> bytes:
    """Return the file's text."""
    said = [_plain(each) for each in bindings.rows]
    whole = {"version": _VERSION, "directories": said, "made": bindings.made}
    return json.dumps(whole, indent=1, ensure_ascii=True).encode() + b"\n"


def _read_or_none(path: Path) -> Bindings | None:
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
        whole = json.loads(content)
        if len(content) > MAX_BYTES or whole["version"] != _VERSION:
            return None
        rows = tuple(map(_binding, whole["directories"]))
        return Bindings(rows, tuple(map(_text, whole["made"])))
    except (OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return None


def _plain(row: Binding) -> dict[str, Any]:
    clients = {name: each._asdict() for name, each in row.clients.items()}
    repository = None if row.repository is None else row.repository._asdict()
    return {
        **row._asdict(),
        "folder": row.folder._asdict(),
        "clients": clients,
        "repository": repository,
    }


def _binding(said: Any) -> Binding:
    """Return one binding; a member that is missing or of another kind raises."""
    clients = {
        _text(name): Expected(
            **{field: _text(each[field]) for field in Expected._fields if field != "native"},
            native=_flag(each["native"]),
        )
        for name, each in said["clients"].items()
    }
    repository = said["repository"]
    return Binding(
        **{field: _text(said[field]) for field in _TEXTS},
        folder=_identity(said["folder"]),
        clients=clients,
        repository=None if repository is None else _identity(repository),
    )


def _identity(said: Any) -> FolderIdentity:
    path, device, inode = _text(said["path"]), said["device"], said["inode"]
    if not path.startswith("/") or type(device) is not int or type(inode) is not int:
        raise TypeError
    return FolderIdentity(path, device, inode)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value
