"""`mahavishnu mcp`: memory for AI clients."""

import click

from mahavishnu.interfaces.cli.lazy import LazyGroup


@click.group(
    cls=LazyGroup,
    package=__package__,
    summaries={
        "config": "Print what to paste into a client, so that it uses this memory; changes nothing.",
        "health": "Ask over MCP whether this memory answers; exit code 0 where it does.",
        "serve": "Serve a client at stdin and stdout.",
        "tools": "List the tools with what they are for; needs neither daemon nor database.",
    },
)
def mcp() -> None:
    """Memory for AI clients, over the Model Context Protocol."""
