"""Which client's sessions are found how."""

from collections.abc import Mapping

from mahavishnu.ai_env.profiles import ClientName
from mahavishnu.ai_env.sessions import claude_code, codex, qwen
from mahavishnu.ai_env.sessions.port import Finder

FINDERS: Mapping[ClientName, Finder] = {
    "claude-code": claude_code.find,
    "codex": codex.find,
    "qwen": qwen.find,
}
