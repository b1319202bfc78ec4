"""
Our MCP server in the settings of the clients. What it is called and how it is reached is given from above.

In those of Codex and Qwen Code our members of one table are written, and nothing else in it; Claude Code
is asked to do it itself (`claude_program.py`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mahavishnu.ai.clients.claude_code import program as claude_program
from mahavishnu.ai.clients.places import Place
from mahavishnu.ai.clients.rights import closing
from mahavishnu.ai.clients.servers import Registered, Server
from mahavishnu.ai.clients.table import CLIENTS
from mahavishnu.ai.foreign_files.documents import ABSENT, Document, KeyPath, Value
from mahavishnu.ai.foreign_files.files import SettingsFile
from mahavishnu.ai.foreign_files.merge import Change, Remove, Set

# The members that say how the server is reached, of both transports; others are the user's.
_OURS = {
    "codex": ("command", "args", "env", "url", "bearer_token_env_var"),
    "qwen": ("command", "args", "env", "httpUrl", "headers"),
}
_TABLES = {"codex": "mcp_servers", "qwen": "mcpServers"}


def find_registered(place: Place, server: Server) -> Registered | None:
    """Return our server as the client has it; None where it does not."""
    if place.client == "claude-code":
        return claude_program.find_server(server)
    entry = _entry(_file(place, server).read(), place.client, server.name)
    return Registered(place.settings, entry) if entry is not None else None


@dataclass(frozen=True)
class Done:
    """Whether the client's settings had to be changed, and what its user should know."""

    changed: bool
    notes: tuple[str, ...] = ()


def install(place: Place, server: Server, *, dry_run: bool) -> Done:
    """
    Make the client know the server as it is given.

    Raises:
        MahavishnuError: as `SettingsFile`, or `claude_program.run`.
    """
    if place.client != "claude-code":
        return _change(place, server, dry_run, wanted=server.entry)
    found = claude_program.find_server(server)
    if found is not None and found.says(server.entry):
        return Done(changed=False)
    claude_program.require_program(place)
    if not dry_run:
        claude_program.register(place, server, found)
    return Done(changed=True)


def uninstall(place: Place, server: Server, *, dry_run: bool) -> Done:
    """Make the client not know the server. Raises as `install`."""
    if place.client != "claude-code":
        return _change(place, server, dry_run, wanted=None)
    if claude_program.find_server(server) is None:
        return Done(changed=False)
    claude_program.require_program(place)
    if not dry_run:
        claude_program.forget(place, server)
    return Done(changed=True)


def _change(
    place: Place, server: Server, dry_run: bool, *, wanted: Mapping[str, Value] | None
) -> Done:
    file = _file(place, server)
    document = file.read()
    if wanted is None:
        changes = remove_server(document, place.client, server.name)
    else:
        changes = add_server(document, place.client, server.name, wanted)
    edit = (file.plan if dry_run else file.edit)(changes, make_folder=True)
    return Done(edit.changed, edit.notes)


def _file(place: Place, server: Server) -> SettingsFile:
    close = closing(CLIENTS[place.client], server.environ)
    if place.client == "codex":
        from mahavishnu.ai.foreign_files.documents.toml_document import TomlDocument  # noqa: PLC0415 - slow

        return SettingsFile(place.settings, TomlDocument, server.locks, close=close)
    from mahavishnu.ai.foreign_files.documents.json_document import JsonDocument  # noqa: PLC0415 - slow

    return SettingsFile(place.settings, JsonDocument, server.locks, close=close)


def _entry(document: Document, client: str, name: str) -> dict[str, Value] | None:
    tables = document.get((_TABLES[client],))
    entry = tables.get(name) if isinstance(tables, dict) else None
    return entry if isinstance(entry, dict) else None


def add_server(
    document: Document, client: str, name: str, entry: Mapping[str, Value]
) -> list[Change]:
    """Return the changes after which the server is reached as `entry` says; other members stay."""
    path = (_TABLES[client], name)
    if document.get(path) is ABSENT:
        return [Set(path, dict(entry))]
    return list(_replace(document, client, path, entry))


def remove_server(document: Document, client: str, name: str) -> list[Change]:
    """Return the changes after which the client does not know the server."""
    path = (_TABLES[client], name)
    table = document.get(path[:1])
    there = isinstance(table, dict) and name in table
    return [Remove(path, made=path[:1])] if there else []


def _replace(
    document: Document, client: str, path: KeyPath, entry: Mapping[str, Value]
) -> Iterator[Change]:
    for member in _OURS[client]:
        if member in entry:
            yield Set((*path, member), entry[member])
        elif document.get((*path, member)) is not ABSENT:
            yield Remove((*path, member))
