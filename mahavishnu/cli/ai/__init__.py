"""`mahavishnu ai`: the providers and settings of AI clients."""

import click

from mahavishnu.cli.lazy import LazyGroup


@click.group(
    cls=LazyGroup,
    modules={
        "profile": ("mahavishnu.cli.ai.profile", "Providers that clients can be switched to."),
        "trust": ("mahavishnu.cli.ai.trust", "Let a project's settings name endpoints and keys."),
    },
)
def ai() -> None:
    """Switch and protect the configuration of Claude Code, Codex and Qwen Code."""
