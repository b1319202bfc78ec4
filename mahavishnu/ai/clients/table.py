"""Which clients there are."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from mahavishnu.ai.clients.claude_code.client import ClaudeCode
from mahavishnu.ai.clients.codex.client import Codex
from mahavishnu.ai.clients.port import Client
from mahavishnu.ai.clients.qwen.client import Qwen

CLIENTS: Mapping[str, Client] = {client.name: client for client in (ClaudeCode(), Codex(), Qwen())}

# What is decoded is held to the table; to a type checker it is any text.
if TYPE_CHECKING:
    type ClientName = str
else:
    ClientName = Literal[tuple(CLIENTS)]
