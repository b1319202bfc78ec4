"""`mahavishnu ai settings`: show."""

import json

import click

from mahavishnu.ai_env.claude_settings.file import read_all, read_faults
from mahavishnu.ai_env.showing import shown
from mahavishnu.cli.ai.claude_file import (
    describe_faults,
    describe_file,
    note_faults,
    open_file,
    scope_option,
)
from mahavishnu.cli.options import json_option
from mahavishnu.cli.render import print_json, print_line


@click.group()
def settings() -> None:
    """Show what Claude Code's settings say."""


@settings.command()
@scope_option
@json_option
def show(scope: str, as_json: bool) -> None:
    """Print the file with keys hidden, and name what Claude Code does not take."""
    file = open_file(scope)
    document = file.read()
    whole, faults = shown("", read_all(document)), read_faults(document)
    if as_json:
        body = describe_file(scope, file.path)
        there = file.path.exists()
        print_json({**body, "there": there, "settings": whole, "faults": describe_faults(faults)})
        return
    print_line(f"# {file.path}{'' if file.path.exists() else ' (not there)'}")
    print_line(json.dumps(whole, indent=2, ensure_ascii=False))
    note_faults(file.path, faults)
