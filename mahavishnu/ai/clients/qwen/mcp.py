"""MCP servers of Qwen Code."""

from mahavishnu.ai.clients.mcp import bearer
from mahavishnu.ai.clients.mcp_table import McpTable
from mahavishnu.ai.clients.qwen.settings import QwenSettings

MCP = McpTable(
    client="qwen",
    settings=QwenSettings(),
    table="mcpServers",
    members=("command", "args", "env", "httpUrl", "headers"),
    over_http=lambda url: {"httpUrl": url, "headers": bearer()},
    shown="~/.qwen/settings.json",
)
