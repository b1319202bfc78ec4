"""`mahavishnu ai`: the providers and settings of AI clients."""

import click

from mahavishnu.interfaces.cli.lazy import LazyGroup


@click.group(
    cls=LazyGroup,
    package=__package__,
    summaries={
        "list-llms": "List profiles, and which one each client uses.",
        "switch-llm": "Point clients at another provider.",
        "status": "Tell which provider each client uses.",
        "diff": "Show what was changed since a switch.",
        "adopt": "Accept what was changed since a switch.",
        "restore": "Write again what a switch had written.",
        "history": "List switches.",
        "undo": "Take a switch back.",
        "sessions": "List the sessions of clients that run.",
        "restart": "Restart sessions, and resume them.",
        "profile": "Providers that clients can be switched to.",
        "verify": "Ask a profile's provider, and say what came of it.",
        "run": "Start a client on a profile, and change no file.",
        "secrets": "Where keys are, and whether they are available.",
        "bind": "Let a directory use one profile and no other.",
        "unbind": "Let a directory be as before it was bound.",
        "bindings": "List bound directories.",
        "trust": "Let a project's settings name endpoints and keys.",
        "settings": "Show what Claude Code's settings say.",
        "env": "Variables of Claude Code's sessions.",
        "hooks": "Commands that Claude Code runs at events.",
        "permissions": "What Claude Code may do.",
        "statusline": "The line below Claude Code's prompt.",
        "plugins": "Turn plugins of Claude Code on and off.",
        "mcp": "Register this memory with the clients.",
    },
    later=("auto",),
)
def ai() -> None:
    """Switch and protect the configuration of Claude Code, Codex and Qwen Code."""
