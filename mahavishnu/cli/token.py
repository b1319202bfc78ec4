"""`mahavishnu token`: show, path, rotate."""

import click

from mahavishnu.cli.options import json_option, load_quietly
from mahavishnu.cli.render import print_json, print_line


@click.group()
def token() -> None:
    """The daemon's bearer token."""


@token.command()
@json_option
def show(as_json: bool) -> None:
    """Print the token; whoever has it can use the daemon."""
    from mahavishnu.daemon.token import ensure_token  # noqa: PLC0415

    text = ensure_token(load_quietly().locations.token)
    if as_json:
        print_json({"token": text})
    else:
        print_line(text)


@token.command()
@json_option
def path(as_json: bool) -> None:
    """Print where the token is kept."""
    where = str(load_quietly().locations.token)
    if as_json:
        print_json({"path": where})
    else:
        print_line(where)


@token.command()
@json_option
def rotate(as_json: bool) -> None:
    """Replace the token; a running daemon takes the new one at once, and the old one no more."""
    from mahavishnu.daemon.token import rotate_token  # noqa: PLC0415

    where = load_quietly().locations.token
    rotate_token(where)
    if as_json:
        print_json({"rotated": True, "path": str(where)})
    else:
        print_line("The token was replaced. Clients that were given the old one need the new one.")


@token.command()
@click.option("--plain", is_flag=True, help="As a line of HTTP, for: curl -H @file.")
def headers(plain: bool) -> None:
    """Print the header that carries the token, as JSON: for clients that ask a command for it."""
    import json  # noqa: PLC0415

    from mahavishnu.daemon.token import ensure_token  # noqa: PLC0415

    value = f"Bearer {ensure_token(load_quietly().locations.token)}"
    print_line(f"Authorization: {value}" if plain else json.dumps({"Authorization": value}))
