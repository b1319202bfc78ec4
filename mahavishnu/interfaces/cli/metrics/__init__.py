"""Record and show measurements of components."""

COMMANDS = ("record", "show")
