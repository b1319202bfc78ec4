"""The command whose first line of output Claude Code shows below its prompt."""

from mahavishnu.ai.foreign_files.documents import ABSENT, Document
from mahavishnu.ai.foreign_files.merge import Change, Remove, Set
from mahavishnu.base.errors import UsageError

PATH = ("statusLine",)


def read_statusline(document: Document) -> str | None:
    """Return the command; None where there is none."""
    found = document.get(PATH)
    command = found.get("command") if isinstance(found, dict) else None
    return command if isinstance(command, str) else None


def set_statusline(document: Document, command: str) -> list[Change]:
    """Return the changes after which this command is shown; padding and the like stay."""
    if not command.strip():
        raise UsageError("The status line has no command.", code="claude_settings.command")
    if document.get(PATH) is ABSENT:
        return [Set(PATH, {"type": "command", "command": command})]
    return [Set((*PATH, "type"), "command"), Set((*PATH, "command"), command)]


def unset_statusline(_: Document) -> list[Change]:
    """Return the change after which there is none."""
    return [Remove(PATH)]
