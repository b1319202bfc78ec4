"""Claude Code as a client."""

from collections.abc import Collection, Sequence

from mahavishnu.ai.clients.claude_code import FACTS, launch, mcp, sessions
from mahavishnu.ai.clients.claude_code.settings import ClaudeCodeSettings
from mahavishnu.ai.clients.delivery import Asks, Protocol
from mahavishnu.ai.clients.launch import Launcher
from mahavishnu.ai.clients.mcp import Mcp
from mahavishnu.ai.clients.port import Client
from mahavishnu.ai.clients.session import Reach, SessionsPort


class ClaudeCode(ClaudeCodeSettings):
    """Anthropic's Claude Code."""

    name = "claude-code"
    title = "Claude Code"
    program = FACTS.program
    asks: Asks = "helper"
    protocols: Sequence[Protocol] = ("anthropic",)
    own_url = FACTS.default_url
    unspoken = "reaches a model of OpenAI's protocols only through the gateway, with the extra translate: --via gateway"
    settings_lead: bool | None = True
    home_variable = "CLAUDE_CONFIG_DIR"
    reach: Reach = "live"
    said_by_run: Collection[str] | None = None
    sessions: SessionsPort = sessions
    launch: Launcher = launch
    mcp: Mcp = mcp
    cc_switch = "claude"
    steered_by: Sequence[str] = ("ANTHROPIC_", "CLAUDE_CODE_USE_", "CLAUDE_CODE_SKIP_")
    sign_ins: Sequence[str] = ("CLAUDE_CODE_OAUTH_TOKEN",)


CLIENT: Client = ClaudeCode()
