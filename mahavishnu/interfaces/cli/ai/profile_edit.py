"""`mahavishnu ai profile add|edit|remove`: the user's own profiles, in files of ours."""

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import click

from mahavishnu.ai.clients.table import CLIENTS
from mahavishnu.ai.profiles.presets import SHIPPED
from mahavishnu.ai.profiles.profile import Entry, check_name
from mahavishnu.ai.profiles.profile_files import find_files, folder_of, remove_file
from mahavishnu.base.errors import Conflict, UsageError
from mahavishnu.interfaces.cli.ai.profile_show import as_values
from mahavishnu.interfaces.cli.ai.profile_store import (
    note_users,
    require_editable,
    require_own,
    save,
    turn,
    users_of,
)
from mahavishnu.interfaces.cli.options import answers, load_quietly
from mahavishnu.interfaces.cli.render import print_line
from mahavishnu.operations.ai.clients import require_trusted
from mahavishnu.operations.ai.profile_entries import read_entry
from mahavishnu.operations.ai.profiles import find_profile

_KEYS = [item.name for item in fields(Entry)]


def entry_options[F: Callable[..., Any]](function: F) -> F:
    """Add an option for each key of a profile."""
    options = [
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
    ]  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function


def _show(body: dict[str, Any]) -> None:
    print_line(f"Written: {body['origin']}")
    print_line(f"Switch to it with: mahavishnu ai switch-llm {body['name']}")


@click.command()
@click.argument("name")
@entry_options
@answers(_show)
def add(name: str, **said: Any) -> dict[str, Any]:
    """Add a profile NAME: at least an address and a key."""
    loaded = load_quietly()
    require_trusted(loaded)
    require_editable(loaded, check_name(name))
    with turn(loaded):
        if name in find_files(folder_of(loaded.locations)) or name in SHIPPED:
            raise Conflict(
                f"There is a profile {name} already.",
                hint=f"Change it with: mahavishnu ai profile edit {name}",
                code="ai.profile_exists",
            )
        return as_values(save(loaded, name, _entry(said)))


@click.command()
@click.argument("name")
@entry_options
@click.option("--unset", multiple=True, type=click.Choice(_KEYS), help="Forget a key; repeatable.")
@answers(_show)
def edit(name: str, unset: tuple[str, ...], **said: Any) -> dict[str, Any]:
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
    require_editable(loaded, check_name(name))
    with turn(loaded):
        path = find_files(folder_of(loaded.locations)).get(name)
        if path is None:
            require_own(loaded, name)
        if path is None and name not in SHIPPED:
            find_profile(loaded, name)  # which tells the nearest
        before = read_entry(path) if path else Entry()
        wanted = replace(before, **changes.said() | dict.fromkeys(unset))
        users = users_of(loaded, name)
        profile = save(loaded, name, wanted)
    if replace(before, title=None) != replace(wanted, title=None):
        note_users(users, "what it said before", name)
    return as_values(profile)


@click.command()
@click.argument("name")
@answers(lambda body: print_line(f"Removed: {body['path']}"))
def remove(name: str) -> dict[str, str]:
    """Remove your own profile NAME; a shipped one of that name is back as it was. No key is touched."""
    loaded = load_quietly()
    require_trusted(loaded)
    require_editable(loaded, check_name(name))
    with turn(loaded):
        path = find_files(folder_of(loaded.locations)).get(name)
        if path is None:
            require_own(loaded, name)
            find_profile(loaded, name)
            raise Conflict(
                f"The profile {name} is shipped, and cannot be removed.",
                hint="It does nothing as long as no client is switched to it.",
                code="ai.profile_shipped",
            )
        users = users_of(loaded, name)
        remove_file(path)
    note_users(users, "what it said", name if name in SHIPPED else "ANOTHER")
    return {"removed": name, "path": str(path)}


def _entry(said: dict[str, Any]) -> Entry:
    return Entry(**{**said, "clients": said["clients"] or None})
