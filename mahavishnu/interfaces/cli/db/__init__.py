"""Set up, upgrade and inspect the database."""

COMMANDS = ("current", "grant", "init", "shell", "upgrade", "url")
LATER = ("check",)
