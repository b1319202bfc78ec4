"""Codex as a client."""

from collections.abc import Sequence

from mahavishnu.ai.clients.codex.settings import CodexSettings
from mahavishnu.ai.clients.delivery import Asks, Protocol


class Codex(CodexSettings):
    """OpenAI's Codex."""

    name = "codex"
    title = "Codex"
    program = "codex"
    asks: Asks = "helper"
    protocols: Sequence[Protocol] = ("openai-responses",)
    own_url = "https://api.openai.com/v1"
    unspoken = "speaks no protocol of the profile"
    cc_switch = "codex"
