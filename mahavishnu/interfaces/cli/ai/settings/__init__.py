"""Show what Claude Code's settings say."""

COMMANDS = ("show",)
