"""Which clients there are."""

from collections.abc import Mapping

from mahavishnu.ai_env.clients.claude_code import ClaudeCode
from mahavishnu.ai_env.clients.codex import Codex
from mahavishnu.ai_env.clients.port import Client
from mahavishnu.ai_env.clients.qwen import Qwen
from mahavishnu.ai_env.profiles import ClientName

CLIENTS: Mapping[ClientName, Client] = {
    client.way.client: client for client in (ClaudeCode(), Codex(), Qwen())
}
