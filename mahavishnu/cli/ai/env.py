"""`mahavishnu ai env`: set, unset, list."""

import json

import click

from mahavishnu.ai_env.claude_settings.environment import (
    read_variables,
    set_variables,
    unset_variables,
)
from mahavishnu.ai_env.clients.claude_code import RESERVED_ENV
from mahavishnu.ai_env.showing import is_secret, shown
from mahavishnu.cli.ai.claude_file import (
    change_file,
    describe_file,
    dry_run_option,
    note,
    open_file,
    scope_option,
)
from mahavishnu.cli.options import json_option
from mahavishnu.cli.render import print_json, print_line, print_table
from mahavishnu.errors import UsageError


@click.group()
def env() -> None:
    """Variables of Claude Code's sessions; those of the provider change by switch-llm."""


@env.command("set")
@click.argument("pairs", metavar="NAME=VALUE...", nargs=-1, required=True)
@scope_option
@dry_run_option
@json_option
def set_(pairs: tuple[str, ...], scope: str, dry_run: bool, as_json: bool) -> None:
    """Set variables; running sessions see them within seconds."""
    values = dict(_split(pair) for pair in pairs)
    done = change_file(
        scope, lambda document: set_variables(document, values), dry_run=dry_run, as_json=as_json
    )
    secret = sorted(name for name, value in values.items() if is_secret(name, value))
    if secret and not dry_run:
        note(
            f"{', '.join(secret)} looks like a key, which {done.path} now holds in plain text."
            " Keys of providers need not be in files: mahavishnu ai profile add"
        )


@env.command()
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@scope_option
@dry_run_option
@json_option
def unset(names: tuple[str, ...], scope: str, dry_run: bool, as_json: bool) -> None:
    """Remove variables; running sessions keep what they had until they are started again."""
    change_file(
        scope, lambda document: unset_variables(document, names), dry_run=dry_run, as_json=as_json
    )


@env.command("list")
@scope_option
@json_option
def list_(scope: str, as_json: bool) -> None:
    """Print the variables; what looks like a key is hidden."""
    file = open_file(scope)
    variables = {name: shown(name, value) for name, value in read_variables(file.read()).items()}
    if as_json:
        rows = [
            {"name": name, "value": value, "owned": name in RESERVED_ENV}
            for name, value in variables.items()
        ]
        print_json({**describe_file(scope, file.path), "variables": rows})
        return
    if not variables:
        print_line(f"{file.path} has no variables.")
        return
    print_table(
        ("name", "value", "changes by"),
        (
            (
                name,
                value if isinstance(value, str) else json.dumps(value),
                "ai switch-llm" if name in RESERVED_ENV else "ai env set",
            )
            for name, value in variables.items()
        ),
    )


def _split(pair: str) -> tuple[str, str]:
    name, mark, value = pair.partition("=")
    if not mark:
        raise UsageError(
            "A variable is given as NAME=VALUE.",
            hint="For example: mahavishnu ai env set BASH_DEFAULT_TIMEOUT_MS=60000",
            code="claude_settings.variable_name",
        )
    return name, value
