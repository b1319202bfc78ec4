"""`mahavishnu mcp health`."""

import click

from mahavishnu.interfaces.cli.options import answers, load_quietly
from mahavishnu.interfaces.cli.render import print_line
from mahavishnu.interfaces.mcp.probe import Health, probe


def _show(body: Health) -> None:
    where = f"at {body.url}" if body.url else "over stdio (no daemon runs)"
    print_line(
        f"{body.server['name']} {body.server['version']} answers {where} with {len(body.tools)} tools"
        f" in {body.latency_ms:.0f} ms"
    )


@click.command()
@answers(_show)
def health() -> Health:
    """
    Ask over MCP whether this memory answers; exit code 0 where it does.

    Asks the daemon; where none runs, a server over stdio, as clients start one.
    """
    return probe(load_quietly())
