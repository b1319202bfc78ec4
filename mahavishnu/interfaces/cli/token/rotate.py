"""`mahavishnu token rotate`."""

import click

from mahavishnu.base.daemon.token import rotate_token
from mahavishnu.daemon.report import Rotated
from mahavishnu.interfaces.cli.options import answers, load_quietly
from mahavishnu.interfaces.cli.render import print_line

_ROTATED = "The token was replaced. Clients that were given the old one need the new one."


@click.command()
@answers(lambda _: print_line(_ROTATED))
def rotate() -> Rotated:
    """Replace the token; a running daemon takes the new one at once, and the old one no more."""
    where = load_quietly().locations.token
    rotate_token(where)
    return Rotated(path=str(where))
