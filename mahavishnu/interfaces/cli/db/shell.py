"""`mahavishnu db shell`."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import click

from mahavishnu.app import open_target
from mahavishnu.database.embedded.binaries import find_binaries
from mahavishnu.database.target import split_password
from mahavishnu.interfaces.cli.options import asynchronous, load


@click.command(context_settings={"ignore_unknown_options": True})
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


def psql_environment(
    environ: Mapping[str, str], *, embedded: bool, password: str | None
) -> dict[str, str]:
    """Return what psql sees: for the embedded server no PGPORT and the like, which mean another."""
    kept = {n: value for n, value in environ.items() if not (embedded and n.startswith("PG"))}
    return kept | ({"PGPASSWORD": password} if password else {})
