"""
The profiles that are shipped: built-in ones, and presets for further providers. Nothing is invented.

Addresses and models are those that the makers' own documentation names, or what others copied from
there, where a comment says so. Without a model, the client asks for its own.
"""

from collections.abc import Mapping

from mahavishnu.ai.clients.delivery import LONG_TIMEOUT_MS
from mahavishnu.ai.clients.table import CLIENTS
from mahavishnu.ai.profiles.profile import Profile
from mahavishnu.ai.secrets.reference import Reference

_CLAUDE, _CODEX = CLIENTS["claude-code"].own_url, CLIENTS["codex"].own_url

_BUILT_IN = (
    Profile(
        name="claude",
        title="Claude, by Claude Code's own sign-in",
        auth="native",
        endpoints={"anthropic": _CLAUDE},
        key=Reference("env", "CLAUDE_API_KEY"),
        key_header="x-api-key",
        timeout_ms=LONG_TIMEOUT_MS,
        clients=frozenset({"claude-code"}),
    ),
    Profile(
        name="codex",
        title="OpenAI, by Codex's own sign-in",
        auth="native",
        endpoints={"openai-responses": _CODEX},
        key=Reference("env", "CODEX_API_KEY"),
        timeout_ms=LONG_TIMEOUT_MS,
        clients=frozenset({"codex"}),
    ),
    # Source: alibabacloud.com/help, Model Studio: Anthropic and OpenAI compatible APIs (international).
    Profile(
        name="qwen",
        title="Qwen, Alibaba Cloud Model Studio (international)",
        endpoints={
            "anthropic": "https://dashscope-intl.aliyuncs.com/apps/anthropic",
            "openai-responses": "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
            "openai-chat": "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        },
        key=Reference("env", "QWEN_API_KEY"),
        model="qwen3-coder-plus",
        small_model="qwen3-coder-flash",
        timeout_ms=LONG_TIMEOUT_MS,
    ),
)
_PRESETS = (
    Profile(
        name="claude-api",
        title="Claude, by a key of the Anthropic API",
        endpoints={"anthropic": _CLAUDE},
        key=Reference("env", "CLAUDE_API_KEY"),
        key_header="x-api-key",
        origin="preset",
    ),
    Profile(
        name="openai-api",
        title="OpenAI, by a key of its API",
        endpoints={"openai-responses": _CODEX, "openai-chat": _CODEX},
        key=Reference("env", "OPENAI_API_KEY"),
        origin="preset",
    ),
    Profile(
        name="qwen-cn",
        title="Qwen, Alibaba Cloud Model Studio (China)",
        endpoints={
            "anthropic": "https://dashscope.aliyuncs.com/apps/anthropic",
            "openai-responses": "https://dashscope.aliyuncs.com/compatible-mode/v1",
            "openai-chat": "https://dashscope.aliyuncs.com/compatible-mode/v1",
        },
        key=Reference("env", "DASHSCOPE_API_KEY"),
        model="qwen3-coder-plus",
        small_model="qwen3-coder-flash",
        timeout_ms=LONG_TIMEOUT_MS,
        origin="preset",
    ),
    # Source: the documentation of Qwen Code.
    Profile(
        name="qwen-coding",
        title="Qwen, Coding Plan (international)",
        endpoints={"openai-chat": "https://coding-intl.dashscope.aliyuncs.com/v1"},
        key=Reference("env", "BAILIAN_CODING_PLAN_API_KEY"),
        model="qwen3-coder-plus",
        timeout_ms=LONG_TIMEOUT_MS,
        origin="preset",
    ),
    # Source: api-docs.deepseek.com/guides/anthropic_api
    Profile(
        name="deepseek",
        title="DeepSeek",
        endpoints={
            "anthropic": "https://api.deepseek.com/anthropic",
            "openai-chat": "https://api.deepseek.com",
        },
        key=Reference("env", "DEEPSEEK_API_KEY"),
        model="deepseek-v4-pro",
        small_model="deepseek-flash",
        timeout_ms=LONG_TIMEOUT_MS,
        origin="preset",
    ),
    # Source: docs.z.ai/devpack (quick start, Claude Code, Codex).
    Profile(
        name="zai",
        title="GLM, Z.AI Coding Plan",
        endpoints={
            "anthropic": "https://api.z.ai/api/anthropic",
            "openai-responses": "https://api.z.ai/api/v1",
            "openai-chat": "https://api.z.ai/api/coding/paas/v4",
        },
        key=Reference("env", "ZAI_API_KEY"),
        model="glm-5.3",
        small_model="glm-5.3-flash",
        timeout_ms=LONG_TIMEOUT_MS,
        origin="preset",
    ),
    # Source: settings that others published for platform.moonshot.ai and kimi.com/code.
    Profile(
        name="kimi",
        title="Kimi, Moonshot AI platform",
        endpoints={
            "anthropic": "https://api.moonshot.ai/anthropic",
            "openai-chat": "https://api.moonshot.ai/v1",
        },
        key=Reference("env", "MOONSHOT_API_KEY"),
        model="kimi-k3",
        timeout_ms=LONG_TIMEOUT_MS,
        origin="preset",
    ),
    Profile(
        name="kimi-coding",
        title="Kimi, coding membership",
        endpoints={"anthropic": "https://api.kimi.com/coding/"},
        key=Reference("env", "KIMI_API_KEY"),
        key_header="x-api-key",
        model="kimi-for-coding",
        timeout_ms=LONG_TIMEOUT_MS,
        origin="preset",
    ),
    # Source: platform.minimax.io/docs (Claude Code; text by the Anthropic API).
    Profile(
        name="minimax",
        title="MiniMax (international)",
        endpoints={"anthropic": "https://api.minimax.io/anthropic"},
        key=Reference("env", "MINIMAX_API_KEY"),
        model="MiniMax-M2.7",
        timeout_ms=LONG_TIMEOUT_MS,
        origin="preset",
    ),
    # Source: openrouter.ai/docs (Claude Code, Responses); it knows Claude's own names of models.
    Profile(
        name="openrouter",
        title="OpenRouter",
        endpoints={
            "anthropic": "https://openrouter.ai/api",
            "openai-responses": "https://openrouter.ai/api/v1",
            "openai-chat": "https://openrouter.ai/api/v1",
        },
        key=Reference("env", "OPENROUTER_API_KEY"),
        timeout_ms=LONG_TIMEOUT_MS,
        origin="preset",
    ),
)
SHIPPED: Mapping[str, Profile] = {profile.name: profile for profile in (*_BUILT_IN, *_PRESETS)}
