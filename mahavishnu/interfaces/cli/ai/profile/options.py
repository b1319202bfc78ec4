"""What the commands that write a profile share."""

from collections.abc import Callable
from typing import Any

import click

from mahavishnu.ai.clients.table import CLIENTS
from mahavishnu.ai.profiles.profile import ProfileEntry
from mahavishnu.interfaces.cli.options import add_options
from mahavishnu.interfaces.cli.render import print_line
from mahavishnu.operations.ai.profile_changes import ProfileDetails


def entry_options[F: Callable[..., Any]](function: F) -> F:
    """Add an option for each key of a profile."""
    return add_options(
        function,
        click.option("--title", help="A line that describes it."),
        click.option("--anthropic-url", "anthropic_base_url", metavar="URL",
                     help="Its address for Anthropic Messages (Claude Code, Qwen Code)."),
        click.option("--responses-url", "openai_responses_base_url", metavar="URL",
                     help="Its address for OpenAI Responses (Codex)."),
        click.option("--chat-url", "openai_chat_base_url", metavar="URL",
                     help="Its address for OpenAI chat completions (Qwen Code)."),
        click.option("--key", metavar="REFERENCE",
                     help="env:NAME, keyring:SERVICE/NAME, file:PATH#NAME, oneiric:aws/ID#FIELD; never the key."),
        click.option("--key-header", type=click.Choice(["bearer", "x-api-key"]),
                     help="The header that carries the key."),
        click.option("--auth", type=click.Choice(["key", "native"]),
                     help="native: the client's own sign-in."),
        click.option("--model", metavar="NAME", help="The model that clients ask for."),
        click.option("--small-model", metavar="NAME", help="The model for small tasks of Claude Code."),
        click.option("--timeout-ms", "api_timeout_ms", type=click.IntRange(1, 86_400_000),
                     help="How long Claude Code waits."),
        click.option("--client", "clients", multiple=True, type=click.Choice(list(CLIENTS)),
                     help="A client that it may configure; repeatable; all by default."),
    )  # fmt: skip


def read_entry(said: dict[str, Any]) -> ProfileEntry:
    """Return what the options say of a profile."""
    return ProfileEntry(**{**said, "clients": said["clients"] or None})


def show_written(body: ProfileDetails) -> None:
    """Print where a profile is written, and what uses it."""
    print_line(f"Written: {body.origin}")
    print_line(f"Switch to it with: mahavishnu ai switch-llm {body.name}")
