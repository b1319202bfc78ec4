"""`mahavishnu db grant`."""

import click

from mahavishnu.app import open_target
from mahavishnu.database.report import Granted, grant_role
from mahavishnu.interfaces.cli.options import answers, load
from mahavishnu.interfaces.cli.render import print_line


@click.command()
@click.argument("role")
@answers(lambda body: print_line(f"{body.role} may use this database"))
async def grant(role: str) -> Granted:
    """Let the database role ROLE use Mahavishnu; it sees its own and shared memories only."""
    async with open_target(load()) as (target, _):
        return await grant_role(target, role)
