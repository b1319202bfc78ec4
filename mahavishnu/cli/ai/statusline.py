"""`mahavishnu ai statusline`: show, set, unset."""

import click

from mahavishnu.ai_env.claude_settings.statusline import (
    read_statusline,
    set_statusline,
    unset_statusline,
)
from mahavishnu.ai_env.showing import shown_text
from mahavishnu.cli.ai.claude_file import (
    change_file,
    describe_file,
    dry_run_option,
    open_file,
    scope_option,
)
from mahavishnu.cli.options import json_option
from mahavishnu.cli.render import print_json, print_line


@click.group()
def statusline() -> None:
    """The line below Claude Code's prompt."""


@statusline.command()
@scope_option
@json_option
def show(scope: str, as_json: bool) -> None:
    """Print the command that makes the line."""
    file = open_file(scope)
    command = read_statusline(file.read())
    told = None if command is None else shown_text(command)
    if as_json:
        print_json({**describe_file(scope, file.path), "command": told})
    else:
        print_line(told or "There is no status line.")


@statusline.command("set")
@click.argument("command")
@scope_option
@dry_run_option
@json_option
def set_(command: str, scope: str, dry_run: bool, as_json: bool) -> None:
    """Show the first line that COMMAND, a line for a shell, prints."""
    change_file(
        scope, lambda document: set_statusline(document, command), dry_run=dry_run, as_json=as_json
    )


@statusline.command()
@scope_option
@dry_run_option
@json_option
def unset(scope: str, dry_run: bool, as_json: bool) -> None:
    """Remove the status line."""
    change_file(scope, unset_statusline, dry_run=dry_run, as_json=as_json)
