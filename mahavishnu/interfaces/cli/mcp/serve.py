"""`mahavishnu mcp serve`."""

import click

from mahavishnu.interfaces.cli.options import asynchronous, load
from mahavishnu.interfaces.stdio.bridge import serve_stdio


@click.command()
@click.option(
    "--transport",
    type=click.Choice(["stdio"]),
    default="stdio",
    show_default=True,
    help="HTTP is served by `mahavishnu up`.",
)
@asynchronous
async def serve(transport: str) -> None:  # noqa: ARG001 - there is one; clients' settings name it
    """
    Serve a client at stdin and stdout.

    Hands everything on to the daemon while one runs, and serves by itself while none does.
    """
    await serve_stdio(load())
