"""Qwen Code as a client."""

from collections.abc import Collection, Sequence

from mahavishnu.ai.clients.delivery import Asks, Protocol
from mahavishnu.ai.clients.launch import Launcher
from mahavishnu.ai.clients.mcp import Mcp
from mahavishnu.ai.clients.port import Client
from mahavishnu.ai.clients.qwen import FACTS, launch, sessions
from mahavishnu.ai.clients.qwen.mcp import MCP
from mahavishnu.ai.clients.qwen.settings import QwenSettings
from mahavishnu.ai.clients.session import Reach, SessionsPort


class Qwen(QwenSettings):
    """Alibaba's Qwen Code."""

    name = "qwen"
    title = "Qwen Code"
    program = FACTS.program
    asks: Asks = "environment"
    protocols: Sequence[Protocol] = ("openai-chat", "anthropic")
    own_url = ""
    unspoken = "speaks no protocol of the profile"
    settings_lead: bool | None = False
    home_variable = "QWEN_HOME"
    reach: Reach = "restart"
    said_by_run: Collection[str] | None = ("--auth-type", "--openai-base-url")
    sessions: SessionsPort = sessions
    launch: Launcher = launch
    mcp: Mcp = MCP
    cc_switch = ""
    steered_by: Sequence[str] = ("OPENAI_", "ANTHROPIC_")
    sign_ins: Sequence[str] = ()


CLIENT: Client = Qwen()
