"""List, share and count what was learnt."""

COMMANDS = ("list", "patterns", "share")
