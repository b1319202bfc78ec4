"""`mahavishnu service`: what runs around the AI clients, as far as this release knows it."""

import click

from mahavishnu.ai.clients.claude_code.client import CLIENT as CLAUDE_CODE
from mahavishnu.interfaces.cli.ai.restart import restart as restart_sessions
from mahavishnu.interfaces.cli.lazy import LaterGroup, not_yet
from mahavishnu.interfaces.cli.options import json_option

LATER = ("session-buddy", "agentdb", "all")


@click.group(
    cls=LaterGroup,
    later=(
        "list",
        "status",
        "start",
        "stop",
        "reload",
        "logs",
        "install",
        "uninstall",
        "autostart",
    ),
)
def service() -> None:
    """Restart what runs around the AI clients."""


@service.command()
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
    context.invoke(restart_sessions, clients=(CLAUDE_CODE.name,), as_json=as_json)
