"""`mahavishnu ai plugins`: list, enable, disable."""

import click

from mahavishnu.ai.clients.claude_code.own_settings.file import Plan, Scope
from mahavishnu.ai.clients.claude_code.own_settings.plugins import turn_plugin
from mahavishnu.interfaces.cli.ai.claude_file import changes, scope_option
from mahavishnu.interfaces.cli.options import answers, load_quietly
from mahavishnu.interfaces.cli.render import print_line, print_table
from mahavishnu.operations.ai.claude_settings import Plugins, list_plugins
from mahavishnu.operations.ai.site import Environments


@click.group()
def plugins() -> None:
    """Turn plugins of Claude Code on and off; it installs them itself."""


def _show(body: Plugins) -> None:
    if not body.plugins:
        print_line(f"{body.path} has no plugins.")
        return
    rows = ((each.name, "yes" if each.enabled else "no") for each in body.plugins)
    print_table(("plugin", "enabled"), rows)


@plugins.command("list")
@scope_option
@answers(_show)
def list_(scope: Scope) -> Plugins:
    """Print the plugins that the file names."""
    return list_plugins(Environments(load_quietly()), scope)


@plugins.command()
@click.argument("name", metavar="NAME@MARKETPLACE")
@changes()
def enable(name: str) -> Plan:
    """Use a plugin."""
    return lambda document: turn_plugin(document, name, on=True)


@plugins.command()
@click.argument("name", metavar="NAME@MARKETPLACE")
@changes()
def disable(name: str) -> Plan:
    """Do not use a plugin; with --scope project also where the project's own settings say so."""
    return lambda document: turn_plugin(document, name, on=False)
