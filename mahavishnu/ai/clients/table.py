"""Which clients there are."""

from collections.abc import Mapping

from mahavishnu.ai.clients.claude_code.settings import ClaudeCode
from mahavishnu.ai.clients.codex.settings import Codex
from mahavishnu.ai.clients.port import Client
from mahavishnu.ai.clients.qwen.settings import Qwen
from mahavishnu.ai.profiles.profile import ClientName

CLIENTS: Mapping[ClientName, Client] = {
    client.way.client: client for client in (ClaudeCode(), Codex(), Qwen())
}
