"""Qwen Code as a client."""

from collections.abc import Sequence

from mahavishnu.ai.clients.delivery import Asks, Protocol
from mahavishnu.ai.clients.qwen.settings import QwenSettings


class Qwen(QwenSettings):
    """Alibaba's Qwen Code."""

    name = "qwen"
    title = "Qwen Code"
    program = "qwen"
    asks: Asks = "environment"
    protocols: Sequence[Protocol] = ("openai-chat", "anthropic")
    own_url = ""
    unspoken = "speaks no protocol of the profile"
    cc_switch = ""
