"""The fourth client, whole."""

from collections.abc import Collection, Sequence

from mahavishnu.ai.clients.delivery import Asks, Protocol
from mahavishnu.ai.clients.launch import Launcher
from mahavishnu.ai.clients.mcp import Mcp
from mahavishnu.ai.clients.mcp_table import McpTable
from mahavishnu.ai.clients.port import Client
from mahavishnu.ai.clients.session import Reach, SessionsPort
from tests.fourth_client import FACTS, launch, sessions
from tests.fourth_client.settings import FourthSettings


class Fourth(FourthSettings):
    """A client of nobody's."""

    name = "fourth"
    title = "The Fourth"
    program = FACTS.program
    home_variable = "FOURTH_HOME"
    asks: Asks = "helper"
    protocols: Sequence[Protocol] = ("openai-chat",)
    own_url = ""
    unspoken = "speaks no protocol of the profile"
    settings_lead: bool | None = None
    cc_switch = ""
    steered_by: Sequence[str] = ("FOURTH_",)
    sign_ins: Sequence[str] = ()
    reach: Reach = "live"
    said_by_run: Collection[str] | None = None
    sessions: SessionsPort = sessions
    launch: Launcher = launch
    mcp: Mcp = McpTable(
        client="fourth",
        settings=FourthSettings(),
        table="servers",
        members=("command", "args", "env", "url"),
        over_http=lambda url: {"url": url},
        shown="~/.fourth/fourth.toml",
    )


CLIENT: Client = Fourth()
