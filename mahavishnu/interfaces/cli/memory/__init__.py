"""Store, search, correct and forget memories."""

COMMANDS = ("embed", "forget", "import", "list", "search", "show", "stats", "store", "supersede")
LATER = ("restore", "export")
