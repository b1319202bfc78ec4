"""What every AI client is: its names, how it gets at a key, its settings, and its parts."""

from collections.abc import Collection, Sequence
from typing import Protocol

from mahavishnu.ai.clients import delivery
from mahavishnu.ai.clients.launch import Launcher
from mahavishnu.ai.clients.mcp import Mcp
from mahavishnu.ai.clients.session import Reach, SessionsPort
from mahavishnu.ai.clients.settings import SettingsPort


class Client(SettingsPort, Protocol):
    """
    One AI client.

    `home_variable` names another folder for what is its user's. `asks` is how it gets at a key;
    `protocols` are those it speaks, the one that it is given first, and `own_url` is where its own
    sign-in is for, by that one; empty without any. `unspoken` says why it cannot use a profile of other
    protocols. `cc_switch` is what cc-switch calls it, where that knows it.

    With `settings_lead` variables of its settings count over those that are exported; None where it has none.

    Variables that begin as in `steered_by` lead it to a provider, and `sign_ins` carry its own sign-in: no
    session that `ai run` starts on another provider gets either.

    `reach` is how a switch reaches its sessions. `said_by_run` are options that `ai run` says again when
    a session is resumed that it started; None where the session's own options do.
    """

    name: str
    title: str
    program: str
    home_variable: str
    asks: delivery.Asks
    protocols: Sequence[delivery.Protocol]
    own_url: str
    unspoken: str
    settings_lead: bool | None
    cc_switch: str
    steered_by: Sequence[str]
    sign_ins: Sequence[str]
    reach: Reach
    said_by_run: Collection[str] | None
    sessions: SessionsPort
    launch: Launcher
    mcp: Mcp
