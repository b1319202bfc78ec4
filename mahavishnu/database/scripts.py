"""Run the migrations by Alembic, which takes a second to import: nothing but an upgrade loads this."""

import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
from alembic import command
from alembic.config import Config
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from mahavishnu.database.errors import translated
from mahavishnu.database.migrate import LOCK_WAIT, lock_held
from mahavishnu.database.target import Target

SCRIPTS = Path(__file__).parent / "migrations"


async def run_scripts(target: Target) -> None:
    """Bring the schema to the newest revision."""
    with translated_wrapped():
        async with open_engine(target) as engine, engine.connect() as handed:
            await handed.run_sync(_upgrade)


def _upgrade(connection: object) -> None:
    config = alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def alembic_config() -> Config:
    """Return Alembic's configuration for our scripts, without an ini file."""
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    return config


@contextlib.asynccontextmanager
async def open_engine(target: Target) -> AsyncIterator[AsyncEngine]:
    """Lend an SQLAlchemy engine over asyncpg on the direct connection."""
    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=lambda: asyncpg.connect(**target.direct, timeout=10),
        poolclass=NullPool,
    )
    try:
        yield engine
    finally:
        await engine.dispose()


@contextlib.contextmanager
def translated_wrapped() -> Iterator[None]:
    """Like `translated`, for driver errors that SQLAlchemy wrapped once or twice."""
    with translated():
        try:
            yield
        except DBAPIError as error:
            cause: BaseException | None = error
            while cause is not None and not isinstance(cause, asyncpg.PostgresError | OSError):
                cause = cause.__cause__
            if isinstance(cause, asyncpg.LockNotAvailableError):
                raise lock_held(LOCK_WAIT) from error
            raise (cause or error) from error
