"""
Our MCP server in the settings of a client that has a table of them.

Our members of one entry are written, and nothing else in it.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mahavishnu.ai.clients.mcp import (
    NAME,
    McpChange,
    RegisteredServer,
    Server,
    Setup,
    as_json,
    over_stdio,
    start_line,
)
from mahavishnu.ai.clients.rights import closing
from mahavishnu.ai.clients.settings import SettingsPort
from mahavishnu.ai.foreign_files.documents import ABSENT, Document, KeyPath, Value
from mahavishnu.ai.foreign_files.files import SettingsFile
from mahavishnu.ai.foreign_files.merge import Change, Remove, Set


@dataclass(frozen=True, kw_only=True)
class McpTable:
    """
    A client's table of MCP servers.

    `members` say how a server is reached, of both transports; others are the user's. `over_http` is the
    entry of an address, `shown` the file as users know it, `write` an entry as it is pasted there.
    """

    client: str
    settings: SettingsPort
    table: str
    members: tuple[str, ...]
    over_http: Callable[[str], Mapping[str, Any]]
    shown: str
    write: Callable[[Mapping[str, Any]], str] = as_json
    project_scope: bool = False

    def describe(
        self,
        *,
        url: str | None,
        places: Mapping[str, str],
        scope: str,  # noqa: ARG002 - the port's
    ) -> Setup:
        """Return what belongs into the settings."""
        entry = self.over_http(url) if url else over_stdio(places)
        start = start_line(url, places)
        further = f", and start {self.client} after: {start}" if start else ""
        how = f"add to {self.shown}{further}"
        return Setup(self.client, how, self.write(entry), entry=entry, start=start)

    def find(self, server: Server) -> RegisteredServer | None:
        """Return our server as the settings have it."""
        tables = self._file(server).read().get((self.table,))
        entry = tables.get(NAME) if isinstance(tables, dict) else None
        return RegisteredServer(server.settings, entry) if isinstance(entry, dict) else None

    def install(self, server: Server, *, dry_run: bool) -> McpChange:
        """Write our members."""
        return self._change(server, lambda each: self.add(each, server.setup.entry), dry_run)

    def uninstall(self, server: Server, *, dry_run: bool) -> McpChange:
        """Take the entry out."""
        return self._change(server, self.remove, dry_run)

    def add(self, document: Document, entry: Mapping[str, Value]) -> list[Change]:
        """Return the changes after which the server is reached as `entry` says; other members stay."""
        path = (self.table, NAME)
        if document.get(path) is ABSENT:
            return [Set(path, dict(entry))]
        return list(self._replace(document, path, entry))

    def remove(self, document: Document) -> list[Change]:
        """Return the changes after which the client does not know the server."""
        path = (self.table, NAME)
        table = document.get(path[:1])
        there = isinstance(table, dict) and NAME in table
        return [Remove(path, made=path[:1])] if there else []

    def _replace(
        self, document: Document, path: KeyPath, entry: Mapping[str, Value]
    ) -> Iterator[Change]:
        for member in self.members:
            if member in entry:
                yield Set((*path, member), entry[member])
            elif document.get((*path, member)) is not ABSENT:
                yield Remove((*path, member))

    def _change(
        self, server: Server, plan: Callable[[Document], list[Change]], dry_run: bool
    ) -> McpChange:
        file = self._file(server)
        edit = (file.plan if dry_run else file.edit)(plan(file.read()), make_folder=True)
        return McpChange(edit.changed, edit.notes)

    def _file(self, server: Server) -> SettingsFile:
        close = closing(self.settings, server.environ)
        return SettingsFile(server.settings, self.settings.read_as(), server.locks, close=close)
