"""What the gateway uses of LiteLLM, which is an extra and takes seconds to load; `translation.py` imports this late."""

import logging
import os

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = (
    "True"  # read at the import; else it fetches prices of models
)

from litellm.llms.anthropic.experimental_pass_through.adapters.streaming_iterator import (
    AnthropicStreamWrapper as ChatStream,
)
from litellm.llms.anthropic.experimental_pass_through.adapters.transformation import (
    AnthropicAdapter,
)
from litellm.llms.anthropic.experimental_pass_through.responses_adapters.streaming_iterator import (
    AnthropicResponsesStreamWrapper as ResponsesStream,
)
from litellm.llms.anthropic.experimental_pass_through.responses_adapters.transformation import (
    LiteLLMAnthropicToResponsesAPIAdapter,
)
from litellm.types.llms.openai import ResponseAPIUsage as ResponsesUsage
from litellm.types.llms.openai import ResponsesAPIResponse as ResponsesAnswer
from litellm.types.utils import ModelResponse as ChatAnswer
from litellm.types.utils import ModelResponseStream as ChatChunk

CHAT = AnthropicAdapter()
RESPONSES = LiteLLMAnthropicToResponsesAPIAdapter()
logging.getLogger("LiteLLM").setLevel(logging.CRITICAL + 1)  # it would write texts into the log

__all__ = [
    "CHAT",
    "RESPONSES",
    "ChatAnswer",
    "ChatChunk",
    "ChatStream",
    "ResponsesAnswer",
    "ResponsesStream",
    "ResponsesUsage",
]
