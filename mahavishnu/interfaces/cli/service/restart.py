"""`mahavishnu service restart`."""

import click

from mahavishnu.ai.clients.claude_code.client import CLIENT as CLAUDE_CODE
from mahavishnu.interfaces.cli.ai import restart as ai_restart
from mahavishnu.interfaces.cli.lazy import not_yet
from mahavishnu.interfaces.cli.options import json_option

LATER = ("session-buddy", "agentdb", "all")


@click.command()
@click.argument("name", type=click.Choice(["claude", *LATER]))
@json_option
@click.pass_context
def restart(context: click.Context, name: str, as_json: bool) -> None:
    """
    Restart NAME, and wait until it is there again.

    `claude` means Claude Code's sessions, as `mahavishnu ai restart --client claude-code` does.
    """
    if name in LATER:
        raise not_yet(f"mahavishnu service restart {name}")
    context.invoke(ai_restart.restart, clients=(CLAUDE_CODE.name,), as_json=as_json)
