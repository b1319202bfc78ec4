"""The application over a test's database, and the daemon's ASGI application around it, in this process."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, MutableMapping
from dataclasses import dataclass
from pathlib import Path

import httpx
import structlog
from starlette.types import ASGIApp

from mahavishnu.app import App
from mahavishnu.base.daemon.token import TokenFile, ensure_token
from mahavishnu.base.settings.sources import load_settings
from mahavishnu.base.settings.tree import ServerSettings
from mahavishnu.factories import backups_of
from mahavishnu.interfaces.http.asgi import open_asgi
from mahavishnu.interfaces.http.guard import Guard
from mahavishnu.interfaces.http.metrics import Metrics
from mahavishnu.memory.insights.insights import Insights
from mahavishnu.memory.outbox.outbox import Outbox
from mahavishnu.memory.outbox.runs import KeptRuns
from mahavishnu.memory.spool.drain import Destination
from mahavishnu.memory.spool.file import SpoolFile
from mahavishnu.memory.spool.writes import Writes
from mahavishnu.memory.transfer.transfer import Transfer
from tests.conftest import World
from tests.support.fakes import FakeTarget

ROOMY = ServerSettings(max_requests=64, max_body=4 * 1024 * 1024, request_timeout=10.0)


def app_of(world: World, home: Path) -> App:
    """Return what `open_app` would yield over the World's parts."""
    loaded = load_settings(environ={"HOME": str(home), "MAHAVISHNU_HOME": str(home)}, folder=home)
    outbox = Outbox(world.database, world.memories, [FakeTarget()])
    return App(
        memories=world.memories,
        conversations=world.conversations,
        transfer=Transfer(world.database, world.space, world.scopes),
        records=world.records,
        writes=Writes(
            Destination("test", world.database, world.memories, world.conversations, world.records),
            SpoolFile(home / "data"),
        ),
        projects=world.projects,
        ingestion=world.ingestion,
        repositories=world.repositories,
        repository_ingestion=world.repository_ingestion,
        outbox=outbox,
        sync_runs=KeptRuns(world.database, outbox),
        insights=Insights(world.database, world.memories, world.space, world.scopes),
        space=world.space,
        database=world.database,
        backups=backups_of(loaded, world.database, ()),
        loaded=loaded,
        _retriever=world.retriever,
    )


@dataclass(frozen=True)
class Served:
    """The guarded application, its token and counts."""

    guard: Guard
    token: str
    metrics: Metrics
    app: App

    def client(self, **headers: str) -> httpx.AsyncClient:
        """Return a client with the token; a header of "" is left out."""
        given = {"authorization": f"Bearer {self.token}", **headers}
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(self.guard),
            base_url="http://127.0.0.1:8680",
            headers={name: value for name, value in given.items() if value},
        )


@contextlib.asynccontextmanager
async def serve(app: App, home: Path, limits: ServerSettings = ROOMY) -> AsyncIterator[Served]:
    """Yield the daemon's application over an open one."""
    metrics = Metrics()
    path = home / "state" / "token"
    token = ensure_token(path)
    opened: asyncio.Future[ASGIApp] = asyncio.get_running_loop().create_future()
    end = asyncio.Event()

    async def live() -> None:  # a task group has to be left by the task that entered it
        async with open_asgi(app, metrics, max_body=limits.max_body) as asgi:
            opened.set_result(asgi)
            await end.wait()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(live())
        guard = Guard(await opened, token=TokenFile(path), limits=limits, metrics=metrics)
        yield Served(guard, token, metrics, app)
        end.set()


@contextlib.contextmanager
def captured_logs() -> Iterator[list[MutableMapping[str, object]]]:
    """Yield what is logged meanwhile, tracebacks as texts."""
    had_none = not structlog.is_configured()
    with structlog.testing.capture_logs([structlog.processors.format_exc_info]) as lines:
        yield lines
    if had_none:
        structlog.reset_defaults()
