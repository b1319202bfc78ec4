"""At which events Claude Code runs the guard."""

from mahavishnu.ai.clients.hooks import GuardHooks


class ClaudeHooks(GuardHooks):
    """The hooks of Claude Code."""

    events = ("SessionStart", "UserPromptSubmit", "PreCompact", "PostToolBatch")


HOOKS: GuardHooks = ClaudeHooks()
