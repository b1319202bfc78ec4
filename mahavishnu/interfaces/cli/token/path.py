"""`mahavishnu token path`."""

import click

from mahavishnu.daemon.report import TokenPath
from mahavishnu.interfaces.cli.options import answers, load_quietly
from mahavishnu.interfaces.cli.render import print_line


@click.command()
@answers(lambda body: print_line(body.path))
def path() -> TokenPath:
    """Print where the token is kept."""
    return TokenPath(path=str(load_quietly().locations.token))
