"""Import documents and histories; each run stores only what changed."""

COMMANDS = ("git", "jsonl", "markdown")
