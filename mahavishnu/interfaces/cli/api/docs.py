"""`mahavishnu api docs`."""

from pathlib import Path

import click

from mahavishnu.interfaces.cli.api.openapi import output_option, write
from mahavishnu.interfaces.http.openapi import describe_api
from mahavishnu.interfaces.http.page import render_page


@click.command()
@output_option
def docs(output: Path | None) -> None:
    """Write the API as an HTML page."""
    write(render_page(describe_api()).encode() + b"\n", output)
