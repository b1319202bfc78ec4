"""Record and find runs of workflows."""

COMMANDS = ("list", "record", "run", "search", "show", "stats")
