"""Claude Code on a profile for one session: by settings that are given to it beside those of all files."""

import json

from mahavishnu.ai.clients.claude_code.key_settings import require_not_redirected as check_project
from mahavishnu.ai.clients.claude_code.settings import HELPER, OWNED_ENV, ClaudeCodeSettings
from mahavishnu.ai.clients.launch import LaunchOptions, Start
from mahavishnu.ai.clients.settings import Known
from mahavishnu.ai.foreign_files.documents import Value
from mahavishnu.ai.foreign_files.documents.json_document import JsonDocument
from mahavishnu.ai.foreign_files.merge import Set
from mahavishnu.base.errors import UsageError

__all__ = ["check_project", "find_options"]
_OWN_SETTINGS = ("--settings", "--managed-settings")


def find_options(start: Start) -> LaunchOptions:
    """Return settings that override those of all files, in which "" stands for what is not wanted."""
    if any(word.split("=")[0] in _OWN_SETTINGS for word in start.words):
        raise UsageError(
            "Claude Code takes only one --settings, and the profile is given by that.",
            hint="Put your settings into a file of the client, or switch with: mahavishnu ai"
            " switch-llm",
            code="ai.own_settings",
        )
    variables: dict[str, Value] = dict.fromkeys(OWNED_ENV, "")
    helper: Value = ""
    for change in ClaudeCodeSettings().changes(JsonDocument.parse(b""), start.delivery, Known()):
        if isinstance(change, Set) and change.path == HELPER:
            helper = change.value
        elif isinstance(change, Set):
            variables[change.path[1]] = change.value
    return LaunchOptions(("--settings", json.dumps({"env": variables, "apiKeyHelper": helper})))
