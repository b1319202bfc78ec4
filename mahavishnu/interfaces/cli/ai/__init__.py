"""`mahavishnu ai`: the providers and settings of AI clients."""

import click

from mahavishnu.interfaces.cli.lazy import LazyGroup


@click.group(
    cls=LazyGroup,
    modules={
        "list-llms": (
            "mahavishnu.interfaces.cli.ai.list_llms",
            "List profiles, and which one each client uses.",
        ),
        "switch-llm": (
            "mahavishnu.interfaces.cli.ai.switch_llm",
            "Point clients at another provider.",
        ),
        "status": ("mahavishnu.interfaces.cli.ai.status", "Tell which provider each client uses."),
        "diff": ("mahavishnu.interfaces.cli.ai.diff", "Show what was changed since a switch."),
        "adopt": ("mahavishnu.interfaces.cli.ai.adopt", "Accept what was changed since a switch."),
        "restore": (
            "mahavishnu.interfaces.cli.ai.restore",
            "Write again what a switch had written.",
        ),
        "history": ("mahavishnu.interfaces.cli.ai.history", "List switches."),
        "undo": ("mahavishnu.interfaces.cli.ai.undo", "Take a switch back."),
        "sessions": (
            "mahavishnu.interfaces.cli.ai.sessions",
            "List the sessions of clients that run.",
        ),
        "restart": ("mahavishnu.interfaces.cli.ai.restart", "Restart sessions, and resume them."),
        "profile": (
            "mahavishnu.interfaces.cli.ai.profile",
            "Providers that clients can be switched to.",
        ),
        "verify": (
            "mahavishnu.interfaces.cli.ai.verify",
            "Ask a profile's provider, and say what came of it.",
        ),
        "run": (
            "mahavishnu.interfaces.cli.ai.run",
            "Start a client on a profile, and change no file.",
        ),
        "secrets": (
            "mahavishnu.interfaces.cli.ai.secrets",
            "Where keys are, and whether they are available.",
        ),
        "bind": (
            "mahavishnu.interfaces.cli.ai.bind",
            "Let a directory use one profile and no other.",
        ),
        "unbind": (
            "mahavishnu.interfaces.cli.ai.bind",
            "Let a directory be as before it was bound.",
        ),
        "bindings": ("mahavishnu.interfaces.cli.ai.bindings", "List bound directories."),
        "trust": (
            "mahavishnu.interfaces.cli.ai.trust",
            "Let a project's settings name endpoints and keys.",
        ),
        "settings": (
            "mahavishnu.interfaces.cli.ai.settings",
            "Show what Claude Code's settings say.",
        ),
        "env": ("mahavishnu.interfaces.cli.ai.env", "Variables of Claude Code's sessions."),
        "hooks": (
            "mahavishnu.interfaces.cli.ai.hooks",
            "Commands that Claude Code runs at events.",
        ),
        "permissions": ("mahavishnu.interfaces.cli.ai.permissions", "What Claude Code may do."),
        "statusline": (
            "mahavishnu.interfaces.cli.ai.statusline",
            "The line below Claude Code's prompt.",
        ),
        "plugins": (
            "mahavishnu.interfaces.cli.ai.plugins",
            "Turn plugins of Claude Code on and off.",
        ),
        "mcp": ("mahavishnu.interfaces.cli.ai.mcp", "Register this memory with the clients."),
    },
    later=("auto",),
)
def ai() -> None:
    """Switch and protect the configuration of Claude Code, Codex and Qwen Code."""
