"""MCP servers of Codex."""

import json
from collections.abc import Mapping
from typing import Any

from mahavishnu.ai.clients.codex.settings import CodexSettings
from mahavishnu.ai.clients.mcp import NAME, TOKEN_VARIABLE
from mahavishnu.ai.clients.mcp_table import McpTable


def _as_toml(entry: Mapping[str, Any]) -> str:
    lines = [f"[mcp_servers.{NAME}]"]
    for key, value in entry.items():
        if isinstance(value, dict):
            pairs = ", ".join(f"{name} = {json.dumps(each)}" for name, each in value.items())
            lines.append(f"{key} = {{ {pairs} }}")
        else:
            lines.append(f"{key} = {json.dumps(value)}")
    return "\n".join(lines)


MCP = McpTable(
    client="codex",
    settings=CodexSettings(),
    table="mcp_servers",
    members=("command", "args", "env", "url", "bearer_token_env_var"),
    over_http=lambda url: {"url": url, "bearer_token_env_var": TOKEN_VARIABLE},
    shown="~/.codex/config.toml",
    write=_as_toml,
)
