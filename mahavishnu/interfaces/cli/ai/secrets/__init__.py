"""Keys of profiles: where they are, and whether they are available; never what they are."""

COMMANDS = ("check", "explain", "list", "test")
