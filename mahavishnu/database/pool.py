"""The connection pool: opened once, checked, healed after a lost server; errors come out as ours."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Self

import asyncpg
import msgspec
from pgvector import HalfVector

from mahavishnu.base.errors import Unavailable, UsageError
from mahavishnu.base.telemetry.spans import is_collecting
from mahavishnu.database.errors import (
    DRIVER_ERRORS,
    is_contention,
    is_lost_connection,
    translated,
    translated_statements,
)
from mahavishnu.database.pooler import behind_pooler
from mahavishnu.database.statement_spans import record_statement
from mahavishnu.database.target import Target

CONNECT_TIMEOUT_S = 10.0
SILENCE_S = 10.0  # beyond its own bound of a statement, a server that says nothing hangs
RETRY_DELAYS_S = (0.0, 0.1, 0.2, 0.4, 0.8, 1.6)
# Applied to every connection, or to every transaction behind a pooler. Nearest-neighbour statements
# need plans for their actual arguments (a generic plan was measured at 98 ms instead of 4).
SESSION_SETTINGS = {
    "plan_cache_mode": "force_custom_plan",
    "hnsw.iterative_scan": "relaxed_order",
    "hnsw.ef_search": "100",
    "hnsw.max_scan_tuples": "40000",
}
TRY_LOCK = "SELECT pg_try_advisory_lock(hashtextextended($1, 0))"

type DriverConnection = asyncpg.Connection[asyncpg.Record]
type Connection = asyncpg.pool.PoolConnectionProxy[asyncpg.Record]


@dataclass(frozen=True)
class DatabaseHealth:
    """What a health check saw. `latency_ms` is one round trip."""

    server_version: str
    vector_version: str | None
    revision: str | None
    latency_ms: float
    connections: int


class Database:
    """
    A pool of at most `size` connections to `target`.

    `ensure` is awaited before a lost connection is tried again; the embedded server uses it to
    start its keeper again.
    """

    def __init__(
        self,
        target: Target,
        *,
        size: int,
        statement_timeout: timedelta,
        ensure: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.target = target
        self._size = size
        self._timeout = statement_timeout
        self._ensure = ensure
        self.pids: set[int] = set()  # of the server processes that the pool was connected to
        self._keeping: set[int] = set()  # those of them that keep plans
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        # Work waits here for a free connection, in order; the driver's own timeout would also count
        # the time in a queue, and fail the last of a thousand calls on a healthy server.
        self._turns = asyncio.Semaphore(size)

    async def __aenter__(self) -> Self:
        """
        Open the pool and make one connection, so that a wrong address fails here.

        The embedded server's is right; where it died meanwhile, the first work starts it again.
        """
        with translated(), self._refused_settings():
            self._pool = await self._make_pool()
            if self._ensure is None:
                async with self._acquire():
                    pass
        return self

    async def _make_pool(self) -> "asyncpg.Pool[asyncpg.Record]":
        settings = {"application_name": "mahavishnu"}
        if not self.target.pooled:
            settings |= self._settings()
        return await asyncpg.create_pool(
            **self.target.parameters,
            min_size=0,
            max_size=self._size,
            timeout=CONNECT_TIMEOUT_S,
            command_timeout=self._timeout.total_seconds() + SILENCE_S,
            init=self._prepare,
            reset=_keep_session,
            server_settings=settings,
            **({"statement_cache_size": 0} if self.target.pooled else {}),
        )

    async def _prepare(self, connection: DriverConnection) -> None:
        self.pids.add(connection.get_server_pid())
        self._keeping.discard(connection.get_server_pid())
        await _register_types(connection)
        if is_collecting():
            connection.add_query_logger(record_statement)

    def found(self) -> Target:
        """Return where it is."""
        return self.target

    @contextlib.asynccontextmanager
    async def disconnected(self) -> AsyncIterator[None]:
        """Close every connection when what runs has ended, and let work wait until the block ends."""
        async with contextlib.AsyncExitStack() as turns:
            for _ in range(self._size):
                await turns.enter_async_context(self._turn())
            former, self._pool = self._open_pool(), await self._make_pool()
            await former.close()
            yield

    @contextlib.contextmanager
    def _refused_settings(self) -> Iterator[None]:
        """Say what a refusal of our settings means: PgBouncer does, a server knows them all."""
        try:
            yield
        except asyncpg.ProtocolViolationError as error:
            if self.target.pooled:
                raise
            raise behind_pooler(
                "The address leads to a pooler, which refuses the settings of a session."
            ) from error

    async def __aexit__(self, *_: object) -> None:
        """Close every connection; one that is still busy after five seconds is cut."""
        if self._pool is None:
            return
        try:
            async with asyncio.timeout(5):
                await self._pool.close()
        except DRIVER_ERRORS:
            self._pool.terminate()
        self._pool = None

    async def run[T](
        self,
        work: Callable[[Connection], Awaitable[T]],
        *,
        repeatable: bool = True,
        keep_plans: bool = False,
    ) -> T:
        """
        Run `work` on a connection; again when the server went away or another writer was in the way.

        With `keep_plans` a statement is planned once, for all arguments, and not for those of each call: only for
        statements whose best plan is always the same. `plan_each` ends that.

        Everything the product stores carries an id made by the writer, so a write that was
        committed just before the connection broke is found again, not doubled. What would report
        something else the second time is not `repeatable`: then only contention, which rolled it
        back, is tried again. Gives up about three seconds after a server stays away.
        """
        for delay_s in RETRY_DELAYS_S:
            try:
                return await self._run_once(work, keep_plans=keep_plans)
            except DRIVER_ERRORS as error:
                contended = is_contention(error)
                if not contended and not (repeatable and is_lost_connection(error)):
                    with translated():
                        raise
            await asyncio.sleep(delay_s)
            if not contended:
                await self._heal()
        with translated():
            return await self._run_once(work, keep_plans=keep_plans)

    async def plan_each(self, connection: Connection) -> None:
        """Plan the next statements of a connection for their arguments, where `run` keeps plans."""
        if connection.get_server_pid() in self._keeping:
            await self._choose_plans(connection, keep=False)

    async def _choose_plans(self, connection: Connection, *, keep: bool) -> None:
        pid = connection.get_server_pid()
        if keep == (pid in self._keeping):
            return
        if keep:  # first: who is cancelled between the two has it said once more, which is right
            self._keeping.add(pid)
        mode = "force_generic_plan" if keep else SESSION_SETTINGS["plan_cache_mode"]
        await connection.execute(f"SET plan_cache_mode = {mode}")
        if not keep:
            self._keeping.discard(pid)

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """
        Lend a connection for the caller's own SQL; `async with connection.transaction()` works.

        Session settings that the caller changes are reset when it is given back. A statement that may
        be silent for longer than `statement_timeout` and `SILENCE_S` needs a `timeout` of its own.
        """
        async with self._turn(), self._lend() as connection:
            yield connection

    @contextlib.asynccontextmanager
    async def _lend(self) -> AsyncIterator[Connection]:
        pool = self._open_pool()
        with translated():
            connection = await pool.acquire(timeout=CONNECT_TIMEOUT_S)
        try:
            with translated_statements():
                if self.target.pooled:
                    async with connection.transaction():
                        await connection.execute(self._local_settings())
                        yield connection
                else:
                    await self.plan_each(connection)
                    yield connection
        finally:
            with translated():
                if not connection.is_closed() and not self.target.pooled:
                    await connection.reset()
                await pool.release(connection)

    @contextlib.asynccontextmanager
    async def exclusive(self, name: str) -> AsyncIterator[bool]:
        """
        Hold the lock of a name while the block runs; yields whether it was free. Nothing waits.

        It is that of a connection of its own, past any pooler, whose end frees it: `kill -9` too, and
        a server that goes away.
        """
        with translated():
            connection = await asyncpg.connect(**self.target.direct, timeout=CONNECT_TIMEOUT_S)
        try:
            with translated():
                held = await connection.fetchval(TRY_LOCK, name)
            try:
                yield held
            finally:
                with contextlib.suppress(*DRIVER_ERRORS):
                    await connection.execute("SELECT pg_advisory_unlock_all()")
        finally:
            connection.terminate()

    @contextlib.asynccontextmanager
    async def snapshot(self) -> AsyncIterator[DriverConnection]:
        """
        Lend a connection of its own, past any pooler, that reads as the database is now, in UTC.

        No statement is bounded, but by its own `timeout`.
        """
        settings = {"application_name": "mahavishnu", "statement_timeout": "0", "TimeZone": "UTC"}
        with translated():
            connection = await asyncpg.connect(
                **self.target.direct, timeout=CONNECT_TIMEOUT_S, server_settings=settings
            )
        try:
            with translated_statements():
                await _register_types(connection)
                async with connection.transaction(isolation="repeatable_read", readonly=True):
                    yield connection
        finally:
            connection.terminate()

    async def check(self) -> DatabaseHealth:
        """Ask the server who it is; raises `Unavailable` when it does not answer."""

        async def ask(connection: Connection) -> DatabaseHealth:
            loop = asyncio.get_running_loop()
            started = loop.time()
            version = await connection.fetchval("SHOW server_version")
            latency_ms = (loop.time() - started) * 1000
            vector = await connection.fetchval(
                "SELECT extversion FROM pg_extension WHERE extname = 'vector'"
            )
            revision = await read_revision(connection)
            assert self._pool is not None
            return DatabaseHealth(version, vector, revision, latency_ms, self._pool.get_size())

        return await self.run(ask)

    async def _run_once[T](
        self, work: Callable[[Connection], Awaitable[T]], *, keep_plans: bool
    ) -> T:
        async with self._turn(), self._acquire() as connection:
            if not self.target.pooled:
                await self._choose_plans(connection, keep=keep_plans)
                return await work(connection)
            async with connection.transaction():
                await connection.execute(self._local_settings())
                return await work(connection)

    @contextlib.asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Wait for one of the connections to be free, as long as a statement may take."""
        try:
            async with asyncio.timeout(self._timeout.total_seconds()):
                await self._turns.acquire()
        except TimeoutError as error:
            raise Unavailable(
                "All connections to the database are in use.",
                hint="Try again; postgresql.pool_size is how many there are.",
                code="database.busy",
            ) from error
        try:
            yield
        finally:
            self._turns.release()

    def _acquire(self) -> "asyncpg.pool.PoolAcquireContext[Any]":
        return self._open_pool().acquire(timeout=CONNECT_TIMEOUT_S)

    def require_open(self) -> None:
        """Raise `UsageError` outside of the `async with`."""
        self._open_pool()

    def _open_pool(self) -> "asyncpg.Pool[asyncpg.Record]":
        if self._pool is None:
            raise UsageError(
                "The application is closed, or was not opened.",
                hint="Use it inside its `async with`.",
                code="usage.closed",
            )
        return self._pool

    async def _heal(self) -> None:
        if self._ensure is not None:
            await self._ensure()
        if self._pool is not None:
            await self._pool.expire_connections()

    def _settings(self) -> dict[str, str]:
        timeout_ms = max(1, round(self._timeout.total_seconds() * 1000))  # 0 would mean no limit
        return {**SESSION_SETTINGS, "statement_timeout": str(timeout_ms)}

    def _local_settings(self) -> str:
        return ";".join(f"SET LOCAL {name} = '{value}'" for name, value in self._settings().items())


async def read_revision(connection: DriverConnection | Connection) -> str | None:
    """Return the revision of the schema; None before the first one."""
    if not await connection.fetchval("SELECT to_regclass('alembic_version') IS NOT NULL"):
        return None
    revision: str | None = await connection.fetchval("SELECT version_num FROM alembic_version")
    return revision


async def _register_types(connection: DriverConnection) -> None:
    """Teach the connection halfvec and jsonb; the former only where the extension is there."""
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        encoder=lambda value: b"\x01" + msgspec.json.encode(value),
        decoder=lambda data: msgspec.json.decode(data[1:]),
        format="binary",
    )
    schema = await connection.fetchval(
        "SELECT n.nspname FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace "
        "WHERE t.typname = 'halfvec' LIMIT 1"
    )
    if schema is not None:
        await connection.set_type_codec(
            "halfvec",
            schema=schema,
            encoder=lambda value: (
                value if isinstance(value, HalfVector) else HalfVector(value)
            ).to_binary(),
            decoder=HalfVector.from_binary,
            format="binary",
        )


async def _keep_session(connection: DriverConnection) -> None:
    """Skip the driver's RESET ALL: our own statements never change session state."""
