"""`mahavishnu ai permissions fence`."""

import click

from mahavishnu.ai.clients.claude_code.own_settings.fence import fence_rules
from mahavishnu.ai.clients.claude_code.own_settings.permissions import add_rules, remove_rules
from mahavishnu.ai.clients.mcp import NAME
from mahavishnu.base.paths import APP
from mahavishnu.interfaces.cli.ai.claude_file import changes

FENCE = tuple(fence_rules(program=APP, server=NAME))


@click.command()
@click.option("--remove", "removes", is_flag=True, help="Take the fence down.")
@changes(
    lambda document, removes: (
        remove_rules(document, FENCE, verdicts=("deny",))
        if removes
        else add_rules(document, "deny", FENCE)
    )
)
def fence() -> None:
    """Deny Claude Code our commands and tools that delete, open, tell keys or change clients."""
