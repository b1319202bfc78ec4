"""`mahavishnu ai`: the providers and settings of AI clients."""

import click

from mahavishnu.cli.lazy import LazyGroup


@click.group(
    cls=LazyGroup,
    modules={
        "list-llms": (
            "mahavishnu.cli.ai.list_llms",
            "List profiles, and which one each client uses.",
        ),
        "switch-llm": ("mahavishnu.cli.ai.switch_llm", "Point clients at another provider."),
        "status": ("mahavishnu.cli.ai.status", "Tell which provider each client uses."),
        "diff": ("mahavishnu.cli.ai.diff", "Show what was changed since a switch."),
        "adopt": ("mahavishnu.cli.ai.adopt", "Accept what was changed since a switch."),
        "restore": ("mahavishnu.cli.ai.restore", "Write again what a switch had written."),
        "history": ("mahavishnu.cli.ai.history", "List switches."),
        "undo": ("mahavishnu.cli.ai.undo", "Take a switch back."),
        "sessions": ("mahavishnu.cli.ai.sessions", "List the sessions of clients that run."),
        "restart": ("mahavishnu.cli.ai.restart", "Restart sessions, and resume them."),
        "profile": ("mahavishnu.cli.ai.profile", "Providers that clients can be switched to."),
        "verify": (
            "mahavishnu.cli.ai.verify",
            "Ask a profile's provider, and say what came of it.",
        ),
        "run": ("mahavishnu.cli.ai.run", "Start a client on a profile, and change no file."),
        "secrets": (
            "mahavishnu.cli.ai.secrets",
            "Where keys are, and whether they are available.",
        ),
        "bind": ("mahavishnu.cli.ai.bind", "Let a directory use one profile and no other."),
        "unbind": ("mahavishnu.cli.ai.bind", "Let a directory be as before it was bound."),
        "bindings": ("mahavishnu.cli.ai.bindings", "List bound directories."),
        "trust": ("mahavishnu.cli.ai.trust", "Let a project's settings name endpoints and keys."),
        "settings": ("mahavishnu.cli.ai.settings", "Show what Claude Code's settings say."),
        "env": ("mahavishnu.cli.ai.env", "Variables of Claude Code's sessions."),
        "hooks": ("mahavishnu.cli.ai.hooks", "Commands that Claude Code runs at events."),
        "permissions": ("mahavishnu.cli.ai.permissions", "What Claude Code may do."),
        "statusline": ("mahavishnu.cli.ai.statusline", "The line below Claude Code's prompt."),
        "plugins": ("mahavishnu.cli.ai.plugins", "Turn plugins of Claude Code on and off."),
        "mcp": ("mahavishnu.cli.ai.mcp", "Register this memory with the clients."),
    },
    later=("auto",),
)
def ai() -> None:
    """Switch and protect the configuration of Claude Code, Codex and Qwen Code."""
