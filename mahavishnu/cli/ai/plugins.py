"""`mahavishnu ai plugins`: list, enable, disable."""

import click

from mahavishnu.ai_env.claude_settings.plugins import read_plugins, turn_plugin
from mahavishnu.cli.ai.claude_file import (
    change_file,
    describe_file,
    dry_run_option,
    open_file,
    scope_option,
)
from mahavishnu.cli.options import json_option
from mahavishnu.cli.render import print_json, print_line, print_table


@click.group()
def plugins() -> None:
    """Turn plugins of Claude Code on and off; it installs them itself."""


@plugins.command("list")
@scope_option
@json_option
def list_(scope: str, as_json: bool) -> None:
    """Print the plugins that the file names."""
    file = open_file(scope)
    rows = [
        {"name": name, "enabled": value is True}
        for name, value in read_plugins(file.read()).items()
    ]
    if as_json:
        print_json({**describe_file(scope, file.path), "plugins": rows})
        return
    if not rows:
        print_line(f"{file.path} has no plugins.")
        return
    print_table(
        ("plugin", "enabled"),
        ((str(row["name"]), "yes" if row["enabled"] else "no") for row in rows),
    )


@plugins.command()
@click.argument("name", metavar="NAME@MARKETPLACE")
@scope_option
@dry_run_option
@json_option
def enable(name: str, scope: str, dry_run: bool, as_json: bool) -> None:
    """Use a plugin."""
    _turn(name, True, scope, dry_run, as_json)


@plugins.command()
@click.argument("name", metavar="NAME@MARKETPLACE")
@scope_option
@dry_run_option
@json_option
def disable(name: str, scope: str, dry_run: bool, as_json: bool) -> None:
    """Do not use a plugin; with --scope project also where the project's own settings say so."""
    _turn(name, False, scope, dry_run, as_json)


def _turn(name: str, on: bool, scope: str, dry_run: bool, as_json: bool) -> None:
    change_file(
        scope, lambda document: turn_plugin(document, name, on=on), dry_run=dry_run, as_json=as_json
    )
