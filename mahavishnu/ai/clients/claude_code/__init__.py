"""Claude Code."""

from mahavishnu.ai.clients.facts import ALL_PROXY, HTTP_PROXY, HTTPS_PROXY, Facts

_CLOUDS = ("BEDROCK", "VERTEX", "FOUNDRY", "MANTLE", "ANTHROPIC_AWS", "ANTHROPIC_GOOGLE_CLOUD")

# It hands the environment of its settings on to its hooks, and to the command that it asks for a key.
FACTS = Facts(
    program="claude",
    client="mahavishnu.ai.clients.claude_code.client",
    hooks="mahavishnu.ai.clients.claude_code.hooks",
    in_force="mahavishnu.ai.clients.claude_code.in_force",
    key_settings="mahavishnu.ai.clients.claude_code.key_settings",
    url_variable="ANTHROPIC_BASE_URL",
    default_url="https://api.anthropic.com",
    clouds=tuple(f"CLAUDE_CODE_USE_{name}" for name in _CLOUDS),
    proxies=(*HTTP_PROXY, *HTTPS_PROXY, *ALL_PROXY),
    folder_variable="CLAUDE_PROJECT_DIR",
    pid_variable="CLAUDE_PID",
    exit_stops=("UserPromptSubmit", "PreCompact"),
)
