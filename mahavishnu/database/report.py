"""The database as commands look after it: its schema, its address, and who may use it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from msgspec import Struct

from mahavishnu.base.errors import UsageError
from mahavishnu.database.errors import translated
from mahavishnu.database.grants import grant_member
from mahavishnu.database.migrate import read_state, upgrade
from mahavishnu.database.pool import DriverConnection
from mahavishnu.database.target import Target, database_of

_WHICH_DATABASE = "SELECT system_identifier || current_database() FROM pg_control_system()"
_VECTOR = "SELECT extversion FROM pg_extension WHERE extname = 'vector'"
_SEES_ALL = "SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user"


class Upgraded(Struct, frozen=True, kw_only=True):
    """The schema as it is now."""

    revision: str | None
    current: bool
    url: str


class DatabaseReport(Struct, frozen=True, kw_only=True):
    """Where the database is, its versions, and whether the schema is current."""

    url: str
    embedded: bool
    revision: str | None
    head: str
    current: bool
    postgresql: str
    pgvector: str | None
    bypasses_row_security: bool


class Address(Struct, frozen=True, kw_only=True):
    """The database's address for other programs."""

    url: str


class Granted(Struct, frozen=True, kw_only=True):
    """A role that may use the database."""

    role: str
    url: str


async def upgrade_schema(target: Target) -> Upgraded:
    """Bring the schema to the newest revision; made where there is none."""
    await _require_one_database(target)
    state = await upgrade(target)
    return Upgraded(revision=state.revision, current=state.current, url=target.shown)


async def report_database(target: Target) -> DatabaseReport:
    """Return where the database is, and how."""
    async with _connected(target) as connection:
        state = await read_state(connection)
        return DatabaseReport(
            url=target.shown,
            embedded=target.embedded,
            revision=state.revision,
            head=state.head,
            current=state.current,
            postgresql=await connection.fetchval("SHOW server_version"),
            pgvector=await connection.fetchval(_VECTOR),
            bypasses_row_security=await connection.fetchval(_SEES_ALL),
        )


async def grant_role(target: Target, role: str) -> Granted:
    """Let a database role use Mahavishnu."""
    async with _connected(target) as connection:
        await grant_member(connection, role)
        return Granted(role=role, url=target.shown)


@asynccontextmanager
async def _connected(target: Target) -> AsyncIterator[DriverConnection]:
    """Connect to the database that migrations go to, past any pooler."""
    await _require_one_database(target)
    with translated():
        connection = await asyncpg.connect(**target.direct, timeout=10)
        try:
            yield connection
        finally:
            await connection.close()


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
            "postgresql.direct_dsn names another database than postgresql.dsn.",
            hint="Name the same database in both: migrations go to the first, memories to the second.",
            code="settings.invalid_dsn",
        )
