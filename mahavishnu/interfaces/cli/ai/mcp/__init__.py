"""Register this memory with Claude Code, Codex and Qwen Code."""

COMMANDS = ("install", "list", "remove")
