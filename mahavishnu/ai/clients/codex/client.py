"""Codex as a client."""

from collections.abc import Collection, Sequence

from mahavishnu.ai.clients.codex import FACTS, launch, sessions
from mahavishnu.ai.clients.codex.mcp import MCP
from mahavishnu.ai.clients.codex.settings import CodexSettings
from mahavishnu.ai.clients.delivery import Asks, Protocol
from mahavishnu.ai.clients.launch import Launcher
from mahavishnu.ai.clients.mcp import Mcp
from mahavishnu.ai.clients.port import Client
from mahavishnu.ai.clients.session import Reach, SessionsPort


class Codex(CodexSettings):
    """OpenAI's Codex."""

    name = "codex"
    title = "Codex"
    program = FACTS.program
    asks: Asks = "helper"
    protocols: Sequence[Protocol] = ("openai-responses",)
    own_url = "https://api.openai.com/v1"
    unspoken = "speaks no protocol of the profile"
    settings_lead: bool | None = None
    home_variable = "CODEX_HOME"
    reach: Reach = "thread"
    said_by_run: Collection[str] | None = ()
    sessions: SessionsPort = sessions
    launch: Launcher = launch
    mcp: Mcp = MCP
    cc_switch = "codex"
    steered_by: Sequence[str] = ("OPENAI_",)
    sign_ins: Sequence[str] = ("CODEX_API_KEY", "CODEX_ACCESS_TOKEN")


CLIENT: Client = Codex()
