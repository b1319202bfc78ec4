"""Bring a database to the newest schema: extension, versions, Alembic under an advisory lock."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import asyncpg

from mahavishnu.base.errors import Conflict, Forbidden, Unavailable
from mahavishnu.database.errors import translated
from mahavishnu.database.pool import DriverConnection, read_revision
from mahavishnu.database.pooler import require_session
from mahavishnu.database.target import Target

LOCK_KEY = 5_131_903_144_907_361_072
UPGRADE_LOCK_KEY = LOCK_KEY + 2
LOCK_WAIT = timedelta(seconds=60)
MINIMUM_SERVER = 16
MINIMUM_VECTOR = (0, 8, 0)
SCRIPTS = Path(__file__).parent / "migrations"
# The newest revision, by the names of the files: reading the scripts would load Alembic.
HEAD = max(each.name[:4] for each in (SCRIPTS / "versions").glob("*.sql"))


@dataclass(frozen=True)
class SchemaState:
    """The revision a database is at (None before the first) and the newest one known here."""

    revision: str | None
    head: str = HEAD

    @property
    def current(self) -> bool:
        """Whether nothing is left to do."""
        return self.revision == self.head


async def read_state(connection: DriverConnection) -> SchemaState:
    """Read the revision of the connected database, without an import of Alembic."""
    return SchemaState(await read_revision(connection))


def require_current(state: SchemaState) -> None:
    """
    Refuse a database that is not at the newest revision.

    Raises:
        Conflict: it is empty, older, or newer than this release.
    """
    if state.current:
        return
    if state.revision is None:
        raise Conflict(
            "The database holds no Mahavishnu schema yet.",
            hint="Run: mahavishnu db init",
            code="database.not_initialised",
        )
    if state.revision > state.head:
        raise Conflict(
            f"The database is at revision {state.revision}, newer than this release ({state.head}).",
            hint="Upgrade Mahavishnu on this machine.",
            code="database.newer",
        )
    raise Conflict(
        f"The database is at revision {state.revision}; this release needs {state.head}.",
        hint="Run: mahavishnu db upgrade",
        code="database.outdated",
    )


async def check_server(connection: DriverConnection) -> None:
    """
    Check the server's version and the vector extension, creating the extension where possible.

    Raises:
        Conflict: PostgreSQL or pgvector is too old.
        Unavailable: pgvector is not installed on the server.
        Forbidden: it is, but this user may not create it in the database.
    """
    major = connection.get_server_version().major
    if major < MINIMUM_SERVER:
        raise Conflict(
            f"PostgreSQL {major} is too old; Mahavishnu needs {MINIMUM_SERVER} or newer.",
            hint="Use a newer server, or leave the DSN out for the embedded one.",
            code="database.too_old",
        )
    offered = await connection.fetchval(
        "SELECT default_version FROM pg_available_extensions WHERE name = 'vector'"
    )
    installed = await connection.fetchval(
        "SELECT extversion FROM pg_extension WHERE extname = 'vector'"
    )
    if installed is None and offered is None:
        raise Unavailable(
            "The server does not have the pgvector extension.",
            hint="Install pgvector 0.8 or newer on it (package postgresql-NN-pgvector).",
            code="database.no_pgvector",
        )
    if installed is None:
        try:
            await connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        except asyncpg.InsufficientPrivilegeError as error:
            raise Forbidden(
                "This user may not create the vector extension.",
                hint="Ask an administrator to run in this database: CREATE EXTENSION vector",
                code="database.extension_rights",
            ) from error
        except asyncpg.UniqueViolationError:  # another process created it at this moment
            pass
        installed = await connection.fetchval(
            "SELECT extversion FROM pg_extension WHERE extname = 'vector'"
        )
    if tuple(int(part) for part in str(installed).split(".")[:3]) < MINIMUM_VECTOR:
        raise Conflict(
            f"pgvector {installed} is too old; Mahavishnu needs 0.8 or newer.",
            hint="Upgrade it on the server, then run: ALTER EXTENSION vector UPDATE",
            code="database.pgvector_too_old",
        )


async def upgrade(target: Target, *, lock_wait: timedelta = LOCK_WAIT) -> SchemaState:
    """
    Check the server and run what is missing; safe to call from many processes at once.

    Returns:
        The state reached.

    Raises:
        Unavailable: another process still migrates after `lock_wait`.
        UsageError: the address leads to a transaction-mode pooler.
    """
    # Alembic keeps its context in module globals, so that two upgrades in one process
    # must not overlap; those of other processes would wait for the migration's own lock.
    async with _checked_server(target) as connection, connection.transaction():
        await _lock(connection, lock_wait)
        if not (await _check_state(connection)).current:
            from mahavishnu.database.scripts import run_scripts  # noqa: PLC0415 - Alembic takes a second

            await run_scripts(target)
    return SchemaState(HEAD)


@contextlib.asynccontextmanager
async def _checked_server(target: Target) -> AsyncIterator[DriverConnection]:
    """Lend a connection to the server itself; raises `UsageError` behind a transaction-mode pooler."""

    async def connect() -> DriverConnection:
        made: DriverConnection = await asyncpg.connect(
            **target.direct, statement_cache_size=0, timeout=10
        )
        return made

    with translated():
        connection = await connect()
        try:
            await require_session(connection, connect)
            await check_server(connection)
            yield connection
        finally:
            await connection.close()


async def _lock(connection: DriverConnection, wait: timedelta) -> None:
    """Hold the lock of upgrades until the transaction ends, however long it is idle meanwhile."""
    wait_ms = max(1, round(wait.total_seconds() * 1000))  # 0 would mean no limit
    await connection.execute(
        f"SET LOCAL lock_timeout = {wait_ms}; SET LOCAL idle_in_transaction_session_timeout = 0"
    )
    try:
        await connection.execute("SELECT pg_advisory_xact_lock($1)", UPGRADE_LOCK_KEY)
    except asyncpg.LockNotAvailableError as error:
        raise lock_held(wait) from error


def lock_held(wait: timedelta) -> Unavailable:
    """Return the error for a lock that another upgrade holds."""
    return Unavailable(
        "Another process migrates this database, or keeps its tables locked, for more than "
        f"{wait.total_seconds():g} seconds; nothing was changed.",
        hint="Wait until it has ended. If none is running, a pooler still holds the lock of an "
        "earlier attempt: restart the pooler, and set MAHAVISHNU_PG_DIRECT_DSN.",
        code="database.migrating",
    )


async def check_target(target: Target) -> None:
    """Refuse what `upgrade` refuses before it runs anything, for the bare `alembic` command."""
    async with _checked_server(target) as connection:
        await _check_state(connection)


async def _check_state(connection: DriverConnection) -> SchemaState:
    """Return the state; raises `Conflict` for a newer schema, `Forbidden` where none can be made."""
    state = await read_state(connection)
    if state.revision is not None and state.revision > state.head:
        require_current(state)
    if not state.current:
        await _require_create(connection)
    return state


async def _require_create(connection: DriverConnection) -> None:
    """Refuse a user who may not create tables; raises `Forbidden`."""
    if not await connection.fetchval("SELECT has_schema_privilege('public', 'CREATE')"):
        raise Forbidden(
            "This user may not create tables in this database.",
            hint="Run this as the owner of the database, or have an administrator run in it: "
            "GRANT CREATE ON SCHEMA public TO ROLE",
            code="database.create_rights",
        )
