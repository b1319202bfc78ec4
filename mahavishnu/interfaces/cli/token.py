"""`mahavishnu token`: show, path, rotate."""

import json

import click

from mahavishnu.base.daemon.token import ensure_token, rotate_token
from mahavishnu.interfaces.cli.options import answers, load_quietly
from mahavishnu.interfaces.cli.render import print_line
from mahavishnu.services.daemon.report import Rotated, Token, TokenPath

_ROTATED = "The token was replaced. Clients that were given the old one need the new one."


@click.group()
def token() -> None:
    """The daemon's bearer token."""


@token.command()
@answers(lambda body: print_line(body.token))
def show() -> Token:
    """Print the token; whoever has it can use the daemon."""
    return Token(token=ensure_token(load_quietly().locations.token))


@token.command()
@answers(lambda body: print_line(body.path))
def path() -> TokenPath:
    """Print where the token is kept."""
    return TokenPath(path=str(load_quietly().locations.token))


@token.command()
@answers(lambda _: print_line(_ROTATED))
def rotate() -> Rotated:
    """Replace the token; a running daemon takes the new one at once, and the old one no more."""
    where = load_quietly().locations.token
    rotate_token(where)
    return Rotated(path=str(where))


@token.command()
@click.option("--plain", is_flag=True, help="As a line of HTTP, for: curl -H @file.")
def headers(plain: bool) -> None:
    """Print the header that carries the token, as JSON: for clients that ask a command for it."""
    value = f"Bearer {ensure_token(load_quietly().locations.token)}"
    print_line(f"Authorization: {value}" if plain else json.dumps({"Authorization": value}))
