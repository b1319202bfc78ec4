"""`mahavishnu ai env`: set, unset, list."""

from collections.abc import Iterator

import click

from mahavishnu.ai.clients.claude_code.own_settings.environment import (
    set_variables,
    unset_variables,
)
from mahavishnu.ai.clients.claude_code.own_settings.file import Plan, Scope
from mahavishnu.ai.secrets.showing import is_secret
from mahavishnu.base.errors import UsageError
from mahavishnu.interfaces.cli.ai.claude_file import changes, scope_option, text_of
from mahavishnu.interfaces.cli.options import answers, load_quietly
from mahavishnu.interfaces.cli.render import print_line, print_table
from mahavishnu.operations.ai.claude_settings import ChangedSettings, Variables, list_variables
from mahavishnu.operations.ai.site import Environments


@click.group()
def env() -> None:
    """Variables of Claude Code's sessions; those of the provider change by switch-llm."""


def _note_keys(done: ChangedSettings, pairs: tuple[str, ...]) -> Iterator[str]:
    secret = sorted(
        name for name, value in dict(map(_split, pairs)).items() if is_secret(name, value)
    )
    if secret:
        yield (
            f"{', '.join(secret)} looks like a key, which {done.path} now holds in plain text."
            " Keys of providers need not be in files: mahavishnu ai profile add"
        )


@env.command("set")
@click.argument("pairs", metavar="NAME=VALUE...", nargs=-1, required=True)
@changes(notes=_note_keys)
def set_(pairs: tuple[str, ...]) -> Plan:
    """Set variables; running sessions see them within seconds."""
    values = dict(_split(pair) for pair in pairs)
    return lambda document: set_variables(document, values)


@env.command()
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@changes()
def unset(names: tuple[str, ...]) -> Plan:
    """Remove variables; running sessions keep what they had until they are started again."""
    return lambda document: unset_variables(document, names)


def _show(body: Variables) -> None:
    if not body.variables:
        print_line(f"{body.path} has no variables.")
        return
    print_table(
        ("name", "value", "changes by"),
        (
            (each.name, text_of(each.value), "ai switch-llm" if each.owned else "ai env set")
            for each in body.variables
        ),
    )


@env.command("list")
@scope_option
@answers(_show)
def list_(scope: Scope) -> Variables:
    """Print the variables; what looks like a key is hidden."""
    return list_variables(Environments(load_quietly()), scope)


def _split(pair: str) -> tuple[str, str]:
    name, mark, value = pair.partition("=")
    if not mark:
        raise UsageError(
            "A variable is given as NAME=VALUE.",
            hint="For example: mahavishnu ai env set BASH_DEFAULT_TIMEOUT_MS=60000",
            code="claude_settings.variable_name",
        )
    return name, value
