"""`mahavishnu db`: init, upgrade, current, url, shell, grant."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import click

from mahavishnu.app import open_target
from mahavishnu.database.embedded.binaries import find_binaries
from mahavishnu.database.migrate import HEAD
from mahavishnu.database.report import (
    Address,
    DatabaseReport,
    Granted,
    Upgraded,
    grant_role,
    report_database,
    upgrade_schema,
)
from mahavishnu.database.target import split_password
from mahavishnu.interfaces.cli.lazy import LaterGroup
from mahavishnu.interfaces.cli.options import answers, asynchronous, load
from mahavishnu.interfaces.cli.render import print_line


@click.group(cls=LaterGroup, later=("check",))
def db() -> None:
    """Set up, upgrade and inspect the database."""


def _show_schema(body: Upgraded | DatabaseReport) -> None:
    if body.current:
        print_line(f"revision {body.revision} (current)")
    else:
        print_line(f"revision {body.revision or 'none'}, newest is {HEAD}: mahavishnu db upgrade")


@db.command()
@answers(_show_schema)
async def init() -> Upgraded:
    """Create the schema in the configured database; does nothing if it exists."""
    async with open_target(load()) as (target, _):
        return await upgrade_schema(target)


@db.command()
@answers(_show_schema)
async def upgrade() -> Upgraded:
    """Bring the schema to the newest revision."""
    async with open_target(load()) as (target, _):
        return await upgrade_schema(target)


def _show_report(body: DatabaseReport) -> None:
    print_line(
        f"{'embedded' if body.embedded else 'external'} PostgreSQL {body.postgresql}, "
        f"pgvector {body.pgvector or 'none'}"
    )
    print_line(body.url)
    _show_schema(body)
    if body.bypasses_row_security:
        print_line(
            "Warning: this database user bypasses row-level security and sees everybody's memories."
        )


@db.command()
@answers(_show_report)
async def current() -> DatabaseReport:
    """Show where the database is, its versions, and whether the schema is current."""
    async with open_target(load()) as (target, _):
        return await report_database(target)


@db.command()
@click.option("--show-password", is_flag=True, help="Print the password too.")
@answers(lambda body: print_line(body.url))
async def url(show_password: bool) -> Address:
    """Print the database's address for other programs (without its password)."""
    async with open_target(load()) as (target, _):
        return Address(url=target.url if show_password else target.shown)


@db.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@asynchronous
async def shell(arguments: tuple[str, ...]) -> None:
    """Open psql on the database; ARGUMENTS go to it."""
    loaded = load()
    configured = loaded.settings.postgresql.binaries
    psql = find_binaries(Path(configured) if configured else None).require("psql")
    async with open_target(loaded) as (target, _):
        # The password goes through the environment: command lines are visible to every user.
        address, password = split_password(target.url)
        environment = psql_environment(os.environ, embedded=target.embedded, password=password)
        command = [str(psql), "--dbname", address, *arguments]
        status = subprocess.run(command, env=environment, check=False).returncode  # noqa: ASYNC221
    sys.exit(status)


@db.command()
@click.argument("role")
@answers(lambda body: print_line(f"{body.role} may use this database"))
async def grant(role: str) -> Granted:
    """Let the database role ROLE use Mahavishnu; it sees its own and shared memories only."""
    async with open_target(load()) as (target, _):
        return await grant_role(target, role)


def psql_environment(
    environ: Mapping[str, str], *, embedded: bool, password: str | None
) -> dict[str, str]:
    """Return what psql sees: for the embedded server no PGPORT and the like, which mean another."""
    kept = {n: value for n, value in environ.items() if not (embedded and n.startswith("PG"))}
    return kept | ({"PGPASSWORD": password} if password else {})
