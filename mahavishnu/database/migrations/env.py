"""Alembic's entry: takes the connection it is handed, or opens one from the settings."""

import asyncio
import sys

from alembic import context
from sqlalchemy import Connection, text

from mahavishnu.app import open_target
from mahavishnu.base.errors import MahavishnuError
from mahavishnu.base.settings.sources import load_settings
from mahavishnu.database.migrate import LOCK_KEY, LOCK_WAIT, check_target
from mahavishnu.database.scripts import open_engine, translated_wrapped


def run(connection: Connection) -> None:
    """Run the wanted revisions in one transaction, which waits a while for another one, and for tables in use."""
    set_wait = text("SELECT set_config('lock_timeout', :wait, true)")
    with connection.begin():
        connection.execute(set_wait, {"wait": f"{round(LOCK_WAIT.total_seconds() * 1000)}ms"})
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK_KEY})
        context.configure(connection=connection, target_metadata=None)
        with context.begin_transaction():
            context.run_migrations()


async def run_from_settings() -> None:
    """Serve the bare `alembic` command: settings, lease, checks and errors as everywhere else."""
    async with open_target(load_settings()) as (target, _):
        if changes_schema():
            await check_target(target)
        with translated_wrapped():
            async with open_engine(target) as engine, engine.connect() as connection:
                await connection.run_sync(run)


def changes_schema() -> bool:
    """Tell whether the command goes to a revision, as `upgrade` does, or only looks, as `current`."""
    try:
        context.get_revision_argument()
    except KeyError:
        return False
    return True


if context.is_offline_mode():
    raise SystemExit("Migrations run online only: the SQL depends on the server's version.")

handed = context.config.attributes.get("connection")
if handed is not None:
    run(handed)
else:
    try:
        asyncio.run(run_from_settings())
    except MahavishnuError as error:
        sys.stderr.write(" ".join(filter(None, ("Error:", error.message, error.hint))) + "\n")
        sys.exit(error.exit_code)
