"""Restart what runs around the AI clients."""

COMMANDS = ("restart",)
LATER = ("list", "status", "start", "stop", "reload", "logs", "install", "uninstall", "autostart")
