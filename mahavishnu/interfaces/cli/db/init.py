"""`mahavishnu db init`."""

import click

from mahavishnu.app import open_target
from mahavishnu.database.report import Upgraded, upgrade_schema
from mahavishnu.interfaces.cli.db.upgrade import show_schema
from mahavishnu.interfaces.cli.options import answers, load


@click.command()
@answers(show_schema)
async def init() -> Upgraded:
    """Create the schema in the configured database; does nothing if it exists."""
    async with open_target(load()) as (target, _):
        return await upgrade_schema(target)
