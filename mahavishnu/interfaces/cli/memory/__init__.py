"""Store, search, correct and forget memories."""

COMMANDS = (
    "embed", "export", "forget", "import", "list", "prune", "restore", "search", "show", "stats", "store",
    "supersede",
)  # fmt: skip
