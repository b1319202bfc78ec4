"""`mahavishnu db current`."""

import click

from mahavishnu.app import open_target
from mahavishnu.database.report import DatabaseReport, report_database
from mahavishnu.interfaces.cli.db.upgrade import show_schema
from mahavishnu.interfaces.cli.options import answers, load
from mahavishnu.interfaces.cli.render import print_line


def _show(body: DatabaseReport) -> None:
    print_line(
        f"{'embedded' if body.embedded else 'external'} PostgreSQL {body.postgresql}, "
        f"pgvector {body.pgvector or 'none'}"
    )
    print_line(body.url)
    show_schema(body)
    if body.bypasses_row_security:
        print_line(
            "Warning: this database user bypasses row-level security and sees everybody's memories."
        )


@click.command()
@answers(_show)
async def current() -> DatabaseReport:
    """Show where the database is, its versions, and whether the schema is current."""
    async with open_target(load()) as (target, _):
        return await report_database(target)
