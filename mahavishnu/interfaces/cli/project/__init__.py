"""Say which project a checkout belongs to."""

COMMANDS = ("link", "split")
