"""`mahavishnu token headers`."""

import json

import click

from mahavishnu.base.daemon.token import ensure_token
from mahavishnu.interfaces.cli.options import load_quietly
from mahavishnu.interfaces.cli.render import print_line


@click.command()
@click.option("--plain", is_flag=True, help="As a line of HTTP, for: curl -H @file.")
def headers(plain: bool) -> None:
    """Print the header that carries the token, as JSON: for clients that ask a command for it."""
    value = f"Bearer {ensure_token(load_quietly().locations.token)}"
    print_line(f"Authorization: {value}" if plain else json.dumps({"Authorization": value}))
