"""Set up, upgrade and inspect the database."""

COMMANDS = ("check", "current", "grant", "init", "shell", "upgrade", "url")
