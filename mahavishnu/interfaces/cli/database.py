"""`mahavishnu db`: init, upgrade, current, url, shell, grant."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import asyncpg
import click

from mahavishnu.app import open_target
from mahavishnu.base.errors import UsageError
from mahavishnu.database.embedded.binaries import find_binaries
from mahavishnu.database.errors import translated
from mahavishnu.database.grants import grant_member
from mahavishnu.database.migrate import SchemaState, read_state, upgrade
from mahavishnu.database.target import Target, database_of, split_password
from mahavishnu.interfaces.cli.lazy import LaterGroup
from mahavishnu.interfaces.cli.options import asynchronous, json_option, load
from mahavishnu.interfaces.cli.render import print_json, print_line

_WHICH_DATABASE = "SELECT system_identifier || current_database() FROM pg_control_system()"


@click.group(cls=LaterGroup, later=("check",))
def db() -> None:
    """Set up, upgrade and inspect the database."""


@db.command()
@json_option
@asynchronous
async def init(as_json: bool) -> None:
    """Create the schema in the configured database; does nothing if it exists."""
    await _upgrade(as_json=as_json)


@db.command("upgrade")
@json_option
@asynchronous
async def upgrade_schema(as_json: bool) -> None:
    """Bring the schema to the newest revision."""
    await _upgrade(as_json=as_json)


@db.command()
@json_option
@asynchronous
async def current(as_json: bool) -> None:
    """Show where the database is, its versions, and whether the schema is current."""
    async with open_target(load()) as (target, _):
        await _require_one_database(target)
        with translated():
            connection = await asyncpg.connect(**target.direct, timeout=10)
            try:
                state = await read_state(connection)
                version = await connection.fetchval("SHOW server_version")
                vector = await connection.fetchval(
                    "SELECT extversion FROM pg_extension WHERE extname = 'vector'"
                )
                sees_all = await connection.fetchval(
                    "SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user"
                )
            finally:
                await connection.close()
    if as_json:
        print_json(
            {
                "url": target.shown,
                "embedded": target.embedded,
                "revision": state.revision,
                "head": state.head,
                "current": state.current,
                "postgresql": version,
                "pgvector": vector,
                "bypasses_row_security": sees_all,
            }
        )
        return
    print_line(
        f"{'embedded' if target.embedded else 'external'} PostgreSQL {version}, "
        f"pgvector {vector or 'none'}"
    )
    print_line(target.shown)
    _print_state(state)
    if sees_all:
        print_line(
            "Warning: this database user bypasses row-level security and sees everybody's memories."
        )


@db.command()
@click.option("--show-password", is_flag=True, help="Print the password too.")
@json_option
@asynchronous
async def url(show_password: bool, as_json: bool) -> None:
    """Print the database's address for other programs (without its password)."""
    async with open_target(load()) as (target, _):
        address = target.url if show_password else target.shown
    if as_json:
        print_json({"url": address})
    else:
        print_line(address)


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
@json_option
@asynchronous
async def grant(role: str, as_json: bool) -> None:
    """Let the database role ROLE use Mahavishnu; it sees its own and shared memories only."""
    async with open_target(load()) as (target, _):
        await _require_one_database(target)
        with translated():
            connection = await asyncpg.connect(**target.direct, timeout=10)
            try:
                await grant_member(connection, role)
            finally:
                await connection.close()
    if as_json:
        print_json({"role": role, "url": target.shown})
    else:
        print_line(f"{role} may use this database")


def psql_environment(
    environ: Mapping[str, str], *, embedded: bool, password: str | None
) -> dict[str, str]:
    """Return what psql sees: for the embedded server no PGPORT and the like, which mean another."""
    kept = {n: value for n, value in environ.items() if not (embedded and n.startswith("PG"))}
    return kept | ({"PGPASSWORD": password} if password else {})


async def _require_one_database(target: Target) -> None:
    """
    Refuse a direct address that leads to another database than the pooler's.

    Where both have one name, nobody is asked; another name may be what the pooler calls it.
    """
    addresses = (target.parameters["dsn"], target.direct["dsn"])
    if not target.pooled or len({database_of(address) for address in addresses}) == 1:
        return
    found = []
    for parameters in (target.parameters, target.direct):
        with translated():
            connection = await asyncpg.connect(**parameters, statement_cache_size=0, timeout=10)
            try:
                found.append(await connection.fetchval(_WHICH_DATABASE))
            finally:
                await connection.close()
    if found[0] != found[1]:
        raise UsageError(
            "postgresql.direct_dsn leads to another database than postgresql.dsn.",
            hint="Name the same database in both: migrations go to the first, memories to the second.",
            code="settings.invalid_dsn",
        )


async def _upgrade(*, as_json: bool) -> None:
    async with open_target(load()) as (target, _):
        await _require_one_database(target)
        state = await upgrade(target)
    if as_json:
        print_json({"revision": state.revision, "current": state.current, "url": target.shown})
    else:
        _print_state(state)


def _print_state(state: SchemaState) -> None:
    if state.current:
        print_line(f"revision {state.revision} (current)")
    else:
        print_line(
            f"revision {state.revision or 'none'}, newest is {state.head}: mahavishnu db upgrade"
        )
