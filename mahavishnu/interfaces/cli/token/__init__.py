"""The daemon's bearer token."""

COMMANDS = ("headers", "path", "rotate", "show")
