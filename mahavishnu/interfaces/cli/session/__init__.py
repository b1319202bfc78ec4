"""Record conversations; list, show and search them."""

COMMANDS = ("list", "record", "search", "show")
