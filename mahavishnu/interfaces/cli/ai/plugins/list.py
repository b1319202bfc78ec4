"""`mahavishnu ai plugins list`."""

from mahavishnu.interfaces.cli.ai.claude_file import reads
from mahavishnu.interfaces.cli.render import print_table
from mahavishnu.operations.ai.claude_settings import Plugins, list_plugins


def _show(body: Plugins) -> None:
    rows = ((each.name, "yes" if each.enabled else "no") for each in body.plugins)
    print_table(("plugin", "enabled"), rows, empty=f"{body.path} has no plugins.")


@reads(list_plugins, _show)
def list_() -> None:
    """Print the plugins that the file names."""
