"""Providers that clients can be switched to."""

COMMANDS = ("accept", "add", "edit", "export", "import", "list", "remove", "show")
