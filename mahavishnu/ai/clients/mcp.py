"""
Our MCP server as clients know it: what a user pastes, what a client's settings say, and who writes it there.

The token is never in a client's file: over stdio none is needed, over HTTP the client asks a command
for it (Claude Code), or the environment has it.
"""

import json
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from mahavishnu.ai.foreign_files.documents import Value, same_value

NAME = "mahavishnu"
TOKEN_VARIABLE = "MAHAVISHNU_TOKEN"  # noqa: S105 - the name of it
# Members that say how a server is reached, of all clients.
_REACHING = frozenset({"command", "args", "env", "url", "httpUrl", "headers", "headersHelper"})


@dataclass(frozen=True)
class Setup:
    """
    For one client: where the text belongs, and the text.

    The same for programs: `words` for Claude Code's own command, for the others `entry`, what their
    settings say of the server, and `start`, a line for the shell that starts them, where one is needed.
    """

    client: str
    how: str
    text: str
    words: tuple[str, ...] = ()
    entry: Mapping[str, Any] = field(default_factory=dict)
    start: str = ""


@dataclass(frozen=True)
class Server:
    """
    Our server as one client needs it.

    `setup` is how it is reached, `scope` Claude Code's word for who has it; `settings` and `program` are
    the client's, `folder` is where the user works, `locks` where our locks are.
    """

    setup: Setup
    scope: str
    settings: Path
    program: Path | None
    environ: Mapping[str, str]
    folder: Path
    locks: Path


@dataclass(frozen=True)
class RegisteredServer:
    """Our server as a client has it: what its settings say, and where."""

    path: Path
    entry: Mapping[str, Value]

    @property
    def transport(self) -> str:
        """How it is reached."""
        return "stdio" if "command" in self.entry else "http"

    def says(self, wanted: Mapping[str, Value]) -> bool:
        """Tell whether it is reached as `wanted` says; empty members are as good as none."""
        members = _REACHING | wanted.keys()
        return all(
            same_value(self.entry.get(each) or None, wanted.get(each) or None) for each in members
        )


@dataclass(frozen=True)
class McpChange:
    """Whether the client's settings had to be changed, and what its user should know."""

    changed: bool
    notes: tuple[str, ...] = ()


class Mcp(Protocol):
    """How one client knows MCP servers."""

    @property
    def project_scope(self) -> bool:
        """Whether it has servers of a project that are its user's alone."""
        ...

    def describe(self, *, url: str | None, places: Mapping[str, str], scope: str) -> Setup:
        """Return the set-up, as `describe_setup`."""
        ...

    def find(self, server: Server) -> RegisteredServer | None:
        """Return our server as the client has it; None where it does not."""
        ...

    def install(self, server: Server, *, dry_run: bool) -> McpChange:
        """
        Make the client know the server as it is given.

        Raises:
            MahavishnuError: as `SettingsFile`, or of the client's own program.
        """
        ...

    def uninstall(self, server: Server, *, dry_run: bool) -> McpChange:
        """Make the client not know the server. Raises as `install`."""
        ...


def command() -> list[str]:
    """Return the installed command that serves over stdio, by its whole path where it has one."""
    return [_program(), "mcp", "serve", "--transport", "stdio"]


def _program() -> str:
    beside = Path(sys.executable).with_name(NAME)
    return str(beside) if beside.exists() else NAME


def asking(places: Mapping[str, str], *words: str) -> str:
    """Return a line for a shell that asks the installed command."""
    where = [f"{name}={shlex.quote(value)}" for name, value in places.items()]
    return " ".join([*where, shlex.quote(_program()), *words])


def over_stdio(places: Mapping[str, str]) -> dict[str, Any]:
    """Return what settings say of a server that the client starts."""
    words = command()
    return {"command": words[0], "args": words[1:]} | ({"env": dict(places)} if places else {})


def bearer() -> dict[str, str]:
    """Return the header by which a client sends the token that its environment has."""
    return {"Authorization": f"Bearer ${{{TOKEN_VARIABLE}}}"}


def start_line(url: str | None, places: Mapping[str, str]) -> str:
    """Return a line for the shell that starts a client which has the token in its environment."""
    return f'export {TOKEN_VARIABLE}="$({asking(places, "token", "show")})"' if url else ""


def as_json(entry: Mapping[str, Any]) -> str:
    """Return an entry as most clients have it."""
    return json.dumps({"mcpServers": {NAME: entry}}, indent=2)
