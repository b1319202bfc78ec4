"""Turn plugins of Claude Code on and off; it installs them itself."""

COMMANDS = ("disable", "enable", "list")
