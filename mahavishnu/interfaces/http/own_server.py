"""The whole application in this process, for a client that no daemon serves; slow to import."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.types import ASGIApp

from mahavishnu.app import open_app
from mahavishnu.base.settings.sources import Loaded
from mahavishnu.base.telemetry.start import sending_telemetry
from mahavishnu.daemon.background import sample
from mahavishnu.interfaces.http.asgi import open_asgi
from mahavishnu.interfaces.http.metrics import Metrics

POOL_SIZE = 2


@asynccontextmanager
async def opened_server(loaded: Loaded) -> AsyncIterator[ASGIApp]:
    """Open the application as HTTP sees it, and sample its timings meanwhile."""
    telemetry = loaded.settings.telemetry
    with sending_telemetry(
        enabled=telemetry.enabled, endpoint=telemetry.endpoint, environ=loaded.environ
    ):
        async with (
            open_app(loaded, pool_size=POOL_SIZE, required=False) as app,
            open_asgi(app, Metrics(), max_body=loaded.settings.server.max_body) as asgi,
            asyncio.TaskGroup() as tasks,
        ):
            sampling = tasks.create_task(sample(app, components=False))
            yield asgi
            sampling.cancel()
