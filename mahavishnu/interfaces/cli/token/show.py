"""`mahavishnu token show`."""

import click

from mahavishnu.base.daemon.token import ensure_token
from mahavishnu.daemon.report import Token
from mahavishnu.interfaces.cli.options import answers, load_quietly
from mahavishnu.interfaces.cli.render import print_line


@click.command()
@answers(lambda body: print_line(body.token))
def show() -> Token:
    """Print the token; whoever has it can use the daemon."""
    return Token(token=ensure_token(load_quietly().locations.token))
