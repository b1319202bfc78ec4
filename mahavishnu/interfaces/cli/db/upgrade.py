"""`mahavishnu db upgrade`."""

import click

from mahavishnu.app import open_target
from mahavishnu.database.migrate import HEAD
from mahavishnu.database.report import DatabaseReport, Upgraded, upgrade_schema
from mahavishnu.interfaces.cli.options import answers, load
from mahavishnu.interfaces.cli.render import print_line


def show_schema(body: Upgraded | DatabaseReport) -> None:
    if body.current:
        print_line(f"revision {body.revision} (current)")
    else:
        print_line(f"revision {body.revision or 'none'}, newest is {HEAD}: mahavishnu db upgrade")


@click.command()
@answers(show_schema)
async def upgrade() -> Upgraded:
    """Bring the schema to the newest revision."""
    async with open_target(load()) as (target, _):
        return await upgrade_schema(target)
