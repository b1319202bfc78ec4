"""The line below Claude Code's prompt."""

COMMANDS = ("set", "show", "unset")
