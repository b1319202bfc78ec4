"""Claude Code as a client."""

from collections.abc import Collection, Sequence

from mahavishnu.ai.clients.claude_code import launch, sessions
from mahavishnu.ai.clients.claude_code.settings import DEFAULT_URL, ClaudeCodeSettings
from mahavishnu.ai.clients.delivery import Asks, Protocol
from mahavishnu.ai.clients.launch import Launcher
from mahavishnu.ai.clients.session import Reach, Sessions


class ClaudeCode(ClaudeCodeSettings):
    """Anthropic's Claude Code."""

    name = "claude-code"
    title = "Claude Code"
    program = "claude"
    asks: Asks = "helper"
    protocols: Sequence[Protocol] = ("anthropic",)
    own_url = DEFAULT_URL
    unspoken = "reaches a model of OpenAI's protocols only through a translating gateway, which is not there yet"
    settings_lead: bool | None = True
    home_variable = "CLAUDE_CONFIG_DIR"
    reach: Reach = "live"
    said_by_run: Collection[str] | None = None
    sessions: Sessions = sessions
    launch: Launcher = launch
    cc_switch = "claude"
