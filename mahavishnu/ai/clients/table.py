"""
Which clients there are. Nothing else names them.

A client is imported when it is asked for: names cost nothing, and a guard needs no more than its facts.
"""

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Literal

from mahavishnu.ai.clients.facts import Facts
from mahavishnu.base.clients import CLIENT_PACKAGES

if TYPE_CHECKING:
    from mahavishnu.ai.clients.port import Client

# By the name of each client, the package whose `FACTS` name its modules. The settings have a section for each.
PACKAGES = CLIENT_PACKAGES
PACKAGES |= {
    "claude-code": "mahavishnu.ai.clients.claude_code",
    "codex": "mahavishnu.ai.clients.codex",
    "qwen": "mahavishnu.ai.clients.qwen",
}
# Which one a command for keys means that names none.
DEFAULT_CLIENT = "claude-code"


class _Clients(Mapping[str, "Client"]):
    """The clients by name."""

    def __getitem__(self, name: str) -> "Client":
        client: Client = import_module(facts_of(name).client).CLIENT
        return client

    def __iter__(self) -> Iterator[str]:
        return iter(PACKAGES)

    def __len__(self) -> int:
        return len(PACKAGES)


def facts_of(client: str) -> Facts:
    """Return the facts of a client of `PACKAGES`."""
    found: Facts = import_module(PACKAGES[client]).FACTS
    return found


CLIENTS: Mapping[str, "Client"] = _Clients()
# What is decoded is held to the table; to a type checker it is any text.
if TYPE_CHECKING:
    type ClientName = str
else:
    type ClientName = Literal[tuple(PACKAGES)]
