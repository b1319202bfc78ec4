"""Our MCP server as a client calls it and as its settings have it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mahavishnu.ai.foreign_files.documents import Value, same_value

# Members that say how a server is reached, of all clients.
_REACHING = frozenset({"command", "args", "env", "url", "httpUrl", "headers", "headersHelper"})


@dataclass(frozen=True)
class Server:
    """
    Our server as one client needs it.

    `entry` is what its settings say, `words` what Claude Code's command is given for that, `scope`
    its word for who has it; `folder` is where the user works, `locks` where our locks are.
    """

    name: str
    entry: Mapping[str, Value]
    words: tuple[str, ...]
    scope: str
    environ: Mapping[str, str]
    folder: Path
    locks: Path


@dataclass(frozen=True)
class Registered:
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
