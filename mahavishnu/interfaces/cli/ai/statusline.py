"""`mahavishnu ai statusline`: show, set, unset."""

import click

from mahavishnu.ai.clients.claude_code.own_settings.file import Plan, Scope
from mahavishnu.ai.clients.claude_code.own_settings.statusline import (
    set_statusline,
    unset_statusline,
)
from mahavishnu.interfaces.cli.ai.claude_file import changes, scope_option
from mahavishnu.interfaces.cli.options import answers, load_quietly
from mahavishnu.interfaces.cli.render import print_line
from mahavishnu.operations.ai.claude_settings import StatusLine, show_statusline
from mahavishnu.operations.ai.site import Environments


@click.group()
def statusline() -> None:
    """The line below Claude Code's prompt."""


def _show(body: StatusLine) -> None:
    print_line(body.command or "There is no status line.")


@statusline.command()
@scope_option
@answers(_show)
def show(scope: Scope) -> StatusLine:
    """Print the command that makes the line."""
    return show_statusline(Environments(load_quietly()), scope)


@statusline.command("set")
@click.argument("command")
@changes()
def set_(command: str) -> Plan:
    """Show the first line that COMMAND, a line for a shell, prints."""
    return lambda document: set_statusline(document, command)


@statusline.command()
@changes()
def unset() -> Plan:
    """Remove the status line."""
    return unset_statusline
