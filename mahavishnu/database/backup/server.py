"""The PostgreSQL server of a backup: a role that sees every row, and databases beside the configured one."""

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg

from mahavishnu.base.errors import Conflict, Forbidden, UsageError
from mahavishnu.database.backup.programs import Programs, find_programs, program_environment
from mahavishnu.database.errors import translated
from mahavishnu.database.migrate import check_server
from mahavishnu.database.pool import DriverConnection
from mahavishnu.database.queries import load_queries
from mahavishnu.database.target import Target, database_of, override_dsn

_QUERIES = load_queries("backup")
_LOCKS = 1_835_361_889  # the first half of these advisory locks; the second is the database's
# A killed command keeps its lock until its server process notices that nobody is connected.
_NOTICE = "SET client_connection_check_interval = '200ms'"
_NOTICED_S = 3.0
_MAINTENANCE = ("postgres", "template1")
_SCRATCH = "_scratch_"
_NAME_BYTES = 63 - len(f"{_SCRATCH}01234567")


@dataclass(frozen=True)
class DatabaseSession:
    """Somebody who is connected to the database."""

    pid: int
    role: str
    application: str

    def __str__(self) -> str:
        return f"{self.application or 'a program'} of {self.role} (server process {self.pid})"


@dataclass(frozen=True)
class BackupServer:
    """
    A server and its configured `database`; `admin` is the role for backups, `everyday` that of the rows.

    `environ` is the environment of its programs. `disk` is the folder of the embedded server, None where
    another machine may have the files.
    """

    database: str
    admin: Mapping[str, Any] = field(repr=False)
    everyday: Mapping[str, Any] = field(repr=False)
    environ: Mapping[str, str] = field(repr=False)
    path: str
    binaries: Path | None
    disk: Path | None

    @property
    def embedded(self) -> bool:
        """Whether it is the embedded server."""
        return self.disk is not None

    @property
    def kept(self) -> str:
        """The name under which the last restore kept the database that it replaced."""
        return f"{self._beginning}_undo"

    def target(self, database: str, *, role: str | None = None) -> Target:
        """
        Return one of its databases as everyday work addresses it; on another server as `admin` does.

        `role` is whose rights count after that.
        """
        parameters = self._at(self.everyday if self.embedded else self.admin, database)
        if role is not None:
            parameters["server_settings"] = {"role": role}
        dsn = parameters["dsn"]
        return Target(parameters, parameters, False, self.embedded, f"database {database}", dsn)

    def url(self, database: str, *, everyday: bool = False) -> str:
        """Return the address of one of its databases for a program, password included."""
        dsn: str = self._at(self.everyday if everyday else self.admin, database)["dsn"]
        return dsn

    @contextlib.asynccontextmanager
    async def connect(self, database: str) -> AsyncIterator[DriverConnection]:
        """Lend a connection of the role for backups, without a limit of time for statements."""
        with translated():
            connection = await asyncpg.connect(
                **self._at(self.admin, database),
                timeout=10,
                server_settings={"application_name": "mahavishnu backup", "statement_timeout": "0"},
            )
            try:
                yield connection
            finally:
                await connection.close(timeout=5)

    @contextlib.asynccontextmanager
    async def maintain(self) -> AsyncIterator[DriverConnection]:
        """Lend a connection to no database of ours."""
        async with contextlib.AsyncExitStack() as stack:
            for name in _MAINTENANCE:
                try:
                    connection = await stack.enter_async_context(self.connect(name))
                    break
                except Forbidden:
                    if name == _MAINTENANCE[-1]:
                        raise
            yield connection

    def programs(self, server: int, archive: int | None = None) -> Programs:
        """Return the programs that fit; raises `backup.no_programs`."""
        return find_programs(server, configured=self.binaries, path=self.path, archive=archive)

    def scratch_name(self) -> str:
        """Return a new name for a database that the next command would drop."""
        return f"{self._beginning}{_SCRATCH}{secrets.token_hex(4)}"

    @property
    def leftovers(self) -> str:
        """What the names of scratch databases begin with."""
        return f"{self._beginning}{_SCRATCH}"

    @property
    def _beginning(self) -> str:
        return self.database.encode()[:_NAME_BYTES].decode(errors="ignore")

    def _at(self, parameters: Mapping[str, Any], database: str) -> dict[str, Any]:
        return {**parameters, "dsn": override_dsn(parameters["dsn"], database=database)}


def server_of(
    target: Target,
    *,
    admin: Target | None,
    environ: Mapping[str, str],
    binaries: Path | None,
    disk: Path,
) -> BackupServer:
    """
    Return the server of a target; on the embedded one PostgreSQL's own superuser makes the backups.

    `admin` is the address that the settings give for backups, if they do.

    Raises:
        UsageError: `settings.invalid_dsn`, where the address names no database.
    """
    everyday = target.direct
    name = database_of(everyday["dsn"])
    if name is None:
        raise UsageError(
            "The address of the database does not name the database.",
            hint="Name it in postgresql.dsn: postgresql://USER@HOST/DATABASE",
            code="settings.invalid_dsn",
        )
    role = admin.direct if admin is not None else everyday
    if target.embedded:
        role = {**everyday, "dsn": override_dsn(everyday["dsn"], user="postgres")}
    return BackupServer(
        database=name,
        admin=role,
        everyday=everyday,
        environ=program_environment(environ, embedded=target.embedded),
        path=environ.get("PATH", ""),
        binaries=binaries,
        disk=disk if target.embedded else None,
    )


async def require_reader(connection: DriverConnection) -> None:
    """Refuse a role that row-level security binds; raises `Forbidden` `backup.rights`."""
    if not await connection.fetchval(_QUERIES["may_read_all"]):
        raise Forbidden(
            "This database role does not see everybody's rows, so its backup would not be whole.",
            hint="Set backup.dsn to the address of a superuser, or of a role with BYPASSRLS, CREATEDB and "
            "rights on all tables. Only backups use it.",
            code="backup.rights",
        )


async def find_sessions(connection: DriverConnection, database: str) -> tuple[DatabaseSession, ...]:
    """Return who is connected to a database, except the caller."""
    rows = await connection.fetch(_QUERIES["find_sessions"], database)
    return tuple(DatabaseSession(*row) for row in rows)


def require_nobody(sessions: tuple[DatabaseSession, ...], database: str) -> None:
    """Refuse to replace a database that somebody uses; raises `Conflict` `backup.connected`."""
    if sessions:
        others = " and others" if len(sessions) > 5 else ""
        raise Conflict(
            f"The database {database} is in use by {', '.join(map(str, sessions[:5]))}{others}.",
            hint="End them first; the daemon by: mahavishnu down",
            code="backup.connected",
        )


@contextlib.asynccontextmanager
async def locked(connection: DriverConnection, server: BackupServer) -> AsyncIterator[None]:
    """
    Let one restore or drill of a database go on at a time, and drop the scratch databases of killed ones.

    Raises:
        Conflict: `backup.restoring`.
    """
    key = await connection.fetchval("SELECT hashtext($1)", server.database)
    with contextlib.suppress(asyncpg.PostgresError):  # some systems do not support it
        await connection.execute(_NOTICE)
    until = time.monotonic() + _NOTICED_S
    while not await connection.fetchval("SELECT pg_try_advisory_lock($1, $2)", _LOCKS, key):
        if time.monotonic() > until:
            raise Conflict(
                "Another restore or drill of this database is running.",
                hint="Try again when it has ended.",
                code="backup.restoring",
            )
        await asyncio.sleep(0.1)
    try:
        for name in await find_databases(connection, server.leftovers):
            await drop_database(connection, name)
        yield
    finally:
        if not connection.is_closed():
            # Where this fails, on a full disk for example, the lock ends with the connection.
            with contextlib.suppress(asyncpg.PostgresError, asyncpg.InterfaceError):
                await connection.execute("SELECT pg_advisory_unlock($1, $2)", _LOCKS, key)


@contextlib.asynccontextmanager
async def scratch_database(
    connection: DriverConnection, server: BackupServer
) -> AsyncIterator[str]:
    """
    Make an empty database with the owner and locale of ours; what has its name at the end is dropped.

    Raises:
        Forbidden: `backup.create_rights`, or `database.extension_rights`.
    """
    if not await connection.fetchval(_QUERIES["may_create"]):
        raise Forbidden(
            "This database role may not create databases.",
            hint="Set backup.dsn to the address of a superuser, or run: ALTER ROLE … CREATEDB",
            code="backup.create_rights",
        )
    name = server.scratch_name()
    try:
        await connection.execute(await _creation(connection, server.database, name))
        async with server.connect(name) as inside:
            await _check_scratch(inside)
        yield name
    finally:
        if not connection.is_closed():  # else the next restore or drill drops it
            await asyncio.shield(drop_database(connection, name))


async def _check_scratch(connection: DriverConnection) -> None:
    try:
        await check_server(connection)
    except Forbidden as error:  # each scratch database is a new one: nobody can prepare it
        raise Forbidden(
            error.message,
            hint="Let the server trust pgvector (trusted = true in its vector.control), or set backup.dsn to "
            "the address of a superuser.",
            code=error.code,
        ) from error


async def _creation(connection: DriverConnection, database: str, name: str) -> str:
    like = await connection.fetchrow(_QUERIES["describe_database"], database)
    assert like is not None
    words, arguments = "CREATE DATABASE %I TEMPLATE template0", [name]
    if like["owner"] != await connection.fetchval("SELECT current_user::text"):
        words, arguments = f"{words} OWNER %I", [name, like["owner"]]
    if like["provider"] == "c":
        words += " ENCODING %L LC_COLLATE %L LC_CTYPE %L LOCALE_PROVIDER libc"
        arguments += [like["encoding"], like["locale_collate"], like["locale_ctype"]]
    return await format_statement(connection, words, *arguments)


async def find_databases(connection: DriverConnection, beginning: str) -> list[str]:
    """Return the databases whose names begin like this."""
    rows = await connection.fetch(_QUERIES["find_databases"], beginning)
    return [row["name"] for row in rows]


async def drop_database(connection: DriverConnection, database: str) -> None:
    """Drop a database beside the configured one, cutting its connections."""
    statement = await format_statement(
        connection, "DROP DATABASE IF EXISTS %I WITH (FORCE)", database
    )
    await connection.execute(statement)


async def rename_database(connection: DriverConnection, former: str, name: str) -> None:
    """Give a database another name; nobody may be connected to it."""
    words = "ALTER DATABASE %I RENAME TO %I"
    await connection.execute(await format_statement(connection, words, former, name))


async def format_statement(connection: DriverConnection, words: str, *arguments: str) -> str:
    """Return a statement with names and texts that the server quoted."""
    statement: str = await connection.fetchval(
        "SELECT format($1, VARIADIC $2::text[])", words, list(arguments)
    )
    return statement
