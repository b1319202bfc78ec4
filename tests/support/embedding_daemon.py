"""The daemon's route of embeddings over a given embedder, on a real loopback port, without a database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette

from mahavishnu.base.daemon.client import DaemonClient
from mahavishnu.base.daemon.record import DaemonRecord
from mahavishnu.daemon.port import bind
from mahavishnu.embedding.choose import Choice
from mahavishnu.embedding.port import Embedder
from mahavishnu.interfaces.http.http_api import build_routes
from mahavishnu.interfaces.http.own_operations import OWN_OPERATIONS
from mahavishnu.memory.metrics import Timings


@dataclass(frozen=True)
class _Space:
    embedder: Embedder
    timings: Timings = field(default_factory=lambda: Timings("embedding"))

    async def choice(self) -> Choice:
        return Choice(self.embedder, "The given one.")


@dataclass(frozen=True)
class _App:
    space: _Space


@asynccontextmanager
async def embedding_daemon(embedder: Embedder) -> AsyncIterator[DaemonClient]:
    """Serve `embedder`, which is closed at the end; yields a client."""
    app: Any = _App(_Space(embedder))
    config = uvicorn.Config(
        Starlette(routes=build_routes(app, OWN_OPERATIONS)),
        lifespan="off",
        log_config=None,
        ws="none",
    )
    server = uvicorn.Server(config)
    bound = bind(0)
    serving = asyncio.create_task(server.serve(sockets=[bound]))
    while not server.started:  # noqa: ASYNC110 - it has no event
        await asyncio.sleep(0.01)
    record = DaemonRecord(1, "", "", "", port=bound.getsockname()[1])
    try:
        yield DaemonClient(record, "mv-test")
    finally:
        server.should_exit = True
        await serving
        bound.close()
        await embedder.aclose()
