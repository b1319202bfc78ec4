"""`mahavishnu gateway serve`: the gateway, in the foreground."""

import sys

import click

from mahavishnu.gateway.serving import serve_gateway
from mahavishnu.interfaces.cli.options import asynchronous, load
from mahavishnu.interfaces.cli.render import print_line
from mahavishnu.operations.ai.gateway_parts import gateway_parts


def _ready(port: int) -> None:
    print_line(f"Listening on http://127.0.0.1:{port}")
    sys.stdout.flush()


@click.command()
@click.option("--port", type=click.IntRange(0, 65_535), help="Port to use; 0: any that is free.")
@asynchronous
async def serve(port: int | None) -> None:
    """
    Run the gateway until Ctrl-C.

    The service `gateway` runs this: mahavishnu service start gateway.
    """
    await serve_gateway(gateway_parts(load(), port=port), _ready)
