"""`mahavishnu ai`: the providers and settings of AI clients."""

import click

from mahavishnu.cli.lazy import LazyGroup


@click.group(cls=LazyGroup, modules={})
def ai() -> None:
    """Switch and protect the configuration of Claude Code, Codex and Qwen Code."""
