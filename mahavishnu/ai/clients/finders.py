"""Which client's sessions are found how."""

from collections.abc import Mapping

from mahavishnu.ai.clients.claude_code import sessions as claude_code
from mahavishnu.ai.clients.codex import sessions as codex
from mahavishnu.ai.clients.qwen import sessions as qwen
from mahavishnu.ai.clients.session import Finder
from mahavishnu.ai.clients.table import ClientName

FINDERS: Mapping[ClientName, Finder] = {
    "claude-code": claude_code.find,
    "codex": codex.find,
    "qwen": qwen.find,
}
