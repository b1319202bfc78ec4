"""
The commands and tools of ours that an assistant should leave to its user, as rules to deny them.

A rule holds for what the assistant types. It does not hold a program that runs as the user: that is
what the operating system's users are for.
"""

from collections.abc import Iterator

# What forgets, deletes for good, runs any command, ends sessions, opens to others, tells a key, or changes what
# clients may do and whom they ask.
FENCED_COMMANDS: tuple[tuple[str, ...], ...] = (
    ("memory", "forget"), ("memory", "prune"), ("sync", "drop"), ("workflow", "run"),
    ("db", "shell"), ("db", "grant"), ("backup", "prune"), ("backup", "restore"),
    ("spool", "drain"),
    ("token", "show"), ("token", "headers"), ("token", "rotate"),
    ("config", "trust"), ("ai", "trust"),
    ("ai", "switch-llm"), ("ai", "undo"), ("ai", "adopt"), ("ai", "restore"), ("ai", "restart"),
    ("ai", "auto", "on"), ("ai", "auto", "off"), ("ai", "auto", "pin"),
    ("service", "stop"), ("service", "restart"), ("service", "add"),
    ("service", "remove"), ("service", "enable"), ("service", "disable"),
    ("service", "install"), ("service", "uninstall"), ("down",),
    ("ai", "bind"), ("ai", "unbind"),
    ("ai", "profile", "add"), ("ai", "profile", "edit"), ("ai", "profile", "remove"),
    ("ai", "profile", "import"), ("ai", "profile", "accept"),
    ("ai", "env", "set"), ("ai", "env", "unset"),
    ("ai", "hooks", "add"), ("ai", "hooks", "remove"),
    ("ai", "permissions", "allow"), ("ai", "permissions", "deny"), ("ai", "permissions", "ask"),
    ("ai", "permissions", "remove"), ("ai", "permissions", "fence"),
    ("ai", "statusline", "set"), ("ai", "statusline", "unset"),
    ("ai", "plugins", "enable"), ("ai", "plugins", "disable"),
    ("ai", "mcp", "install"), ("ai", "mcp", "remove"),
)  # fmt: skip
# Of these another command's name goes on, which only reads: `ai bindings`.
_BEGINNINGS = (("ai", "bind"),)
FENCED_PROGRAMS = ("mahavishnu-key",)
FENCED_TOOLS = (
    "forget_memory", "prune_memories", "drop_sync", "prune_backups", "restore_backup",
    "drain_spool", "stop_services", "restart_services", "restart_ai_services", "switch_llm", "undo_switch",
    "set_auto",
)  # fmt: skip


def fence_rules(*, program: str, server: str) -> Iterator[str]:
    """
    Yield the rules, for the name of our program and of our MCP server.

    The stars let no path, interpreter, option before the command, or shell around it lead past a rule.
    """
    for words in FENCED_COMMANDS:
        # A single word is one of sentences too: it stands behind the program, or behind its options.
        for between in ("", " --*") if len(words) == 1 else ("*",):
            for end in ("", " *") if words in _BEGINNINGS else ("*",):
                yield f"Bash(*{program}{between} {' '.join(words)}{end})"
    for name in FENCED_PROGRAMS:
        yield f"Bash(*{name}*)"
    for tool in FENCED_TOOLS:
        yield f"mcp__{server}__{tool}"
