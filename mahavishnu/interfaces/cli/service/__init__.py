"""Start, stop, restart and see the programs that the daemon keeps running."""

COMMANDS = (
    "list", "status", "start", "stop", "restart", "logs", "enable", "disable", "add", "remove",
    "install", "uninstall",
)  # fmt: skip
LATER = ("reload", "autostart")
