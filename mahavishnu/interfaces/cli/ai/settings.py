"""`mahavishnu ai settings`: show."""

import json

import click

from mahavishnu.ai.clients.claude_code.own_settings.file import Scope
from mahavishnu.interfaces.cli.ai.claude_file import note_faults, scope_option
from mahavishnu.interfaces.cli.options import answers, load_quietly
from mahavishnu.interfaces.cli.render import print_line
from mahavishnu.operations.ai.claude_settings import WholeSettings, show_settings
from mahavishnu.operations.ai.site import Environments


@click.group()
def settings() -> None:
    """Show what Claude Code's settings say."""


def _show(body: WholeSettings) -> None:
    print_line(f"# {body.path}{'' if body.there else ' (not there)'}")
    print_line(json.dumps(body.settings, indent=2, ensure_ascii=False))
    note_faults(body.path, body.faults)


@settings.command()
@scope_option
@answers(_show)
def show(scope: Scope) -> WholeSettings:
    """Print the file with keys hidden, and name what Claude Code does not take."""
    return show_settings(Environments(load_quietly()), scope)
