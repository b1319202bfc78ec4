"""Commands that Claude Code runs at events."""

COMMANDS = ("add", "list", "remove")
LATER = ("install",)
