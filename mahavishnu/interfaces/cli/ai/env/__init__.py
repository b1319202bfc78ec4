"""Variables of Claude Code's sessions; those of the provider change by switch-llm."""

COMMANDS = ("list", "set", "unset")
