"""`mahavishnu ai profile add|edit|remove`: the user's own profiles, in files of ours."""

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import click

from mahavishnu.ai.clients.table import CLIENTS
from mahavishnu.ai.profiles.profile import ProfileEntry
from mahavishnu.base.errors import UsageError
from mahavishnu.interfaces.cli.ai.telling import tell_note
from mahavishnu.interfaces.cli.options import add_options, answers, load_quietly
from mahavishnu.interfaces.cli.render import print_line
from mahavishnu.operations.ai.clients import require_trusted
from mahavishnu.operations.ai.profile_changes import (
    ProfileDetails,
    RemovedProfile,
    add_profile,
    edit_profile,
    remove_profile,
)

_KEYS = [item.name for item in fields(ProfileEntry)]


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


def _show(body: ProfileDetails) -> None:
    print_line(f"Written: {body.origin}")
    print_line(f"Switch to it with: mahavishnu ai switch-llm {body.name}")


@click.command()
@click.argument("name")
@entry_options
@answers(_show)
def add(name: str, **said: Any) -> ProfileDetails:
    """Add a profile NAME: at least an address and a key."""
    return add_profile(load_quietly(), name, _entry(said))


@click.command()
@click.argument("name")
@entry_options
@click.option("--unset", multiple=True, type=click.Choice(_KEYS), help="Forget a key; repeatable.")
@answers(_show)
def edit(name: str, unset: tuple[str, ...], **said: Any) -> ProfileDetails:
    """
    Change what is named of the profile NAME.

    Of one that is shipped, a file of yours then holds what differs; an address in there takes the place
    of all its addresses, and at another host of its models, since they belong together.
    """
    loaded = load_quietly()
    require_trusted(loaded)
    changes = _entry(said)
    if not changes.said() and not unset:
        raise UsageError(
            "Nothing is named that is to change.",
            hint="See: mahavishnu ai profile edit --help",
            code="ai.profile_nothing",
        )
    body, notes = edit_profile(loaded, name, changes, unset)
    for note in notes:
        tell_note(note)
    return body


@click.command()
@click.argument("name")
@answers(lambda body: print_line(f"Removed: {body.path}"))
def remove(name: str) -> RemovedProfile:
    """Remove your own profile NAME; a shipped one of that name is back as it was. No key is touched."""
    body, notes = remove_profile(load_quietly(), name)
    for note in notes:
        tell_note(note)
    return body


def _entry(said: dict[str, Any]) -> ProfileEntry:
    return ProfileEntry(**{**said, "clients": said["clients"] or None})
