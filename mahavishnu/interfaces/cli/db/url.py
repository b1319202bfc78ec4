"""`mahavishnu db url`."""

import click

from mahavishnu.app import open_target
from mahavishnu.database.report import Address
from mahavishnu.interfaces.cli.options import answers, load
from mahavishnu.interfaces.cli.render import print_line


@click.command()
@click.option("--show-password", is_flag=True, help="Print the password too.")
@answers(lambda body: print_line(body.url))
async def url(show_password: bool) -> Address:
    """Print the database's address for other programs (without its password)."""
    async with open_target(load()) as (target, _):
        return Address(url=target.url if show_password else target.shown)
