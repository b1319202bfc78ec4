"""Run the daemon: claim the data directory, bind, open the application, serve, drain, let go."""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Callable, Generator
from datetime import UTC, datetime

import uvicorn
from starlette.types import ASGIApp

from mahavishnu import __version__
from mahavishnu.app import open_app
from mahavishnu.daemon.record import DaemonRecord, claim, find_daemon
from mahavishnu.daemon.token import TokenFile, ensure_token
from mahavishnu.logs import get_logger
from mahavishnu.paths import private_folder
from mahavishnu.server.asgi import open_asgi
from mahavishnu.server.background import embed_waiting
from mahavishnu.server.guard import Guard, Limits
from mahavishnu.server.metrics import Metrics
from mahavishnu.server.port import bind
from mahavishnu.settings.sources import Loaded

KEEP_ALIVE_S = 75
BACKLOG = 4_096
_log = get_logger(__name__)


async def serve(loaded: Loaded, ready: Callable[[DaemonRecord], None]) -> None:
    """
    Serve until SIGTERM or SIGINT; `ready` is called once requests are answered.

    Raises:
        Conflict: a daemon serves the data directory already, or the port is taken.
        MahavishnuError: the token cannot be used, or what `open_app` raises.
    """
    locations, server = loaded.locations, loaded.settings.server
    since = datetime.now(UTC).isoformat(timespec="seconds")
    with claim(locations.daemon_lock, version=__version__, since=since) as held:
        ensure_token(locations.token)
        with contextlib.closing(bind(server.port)) as bound:
            os.chdir(private_folder(locations.data))  # not to hold whatever folder it began in
            metrics = Metrics()
            async with (
                open_app(loaded) as app,
                open_asgi(app, metrics, max_body=server.max_body) as asgi,
            ):
                guard = Guard(
                    asgi,
                    token=TokenFile(locations.token),
                    limits=Limits(server.max_requests, server.max_body, server.request_timeout),
                    metrics=metrics,
                )

                def announce() -> None:
                    held.announce(bound.getsockname()[1])
                    record = find_daemon(locations.daemon_lock)
                    assert record is not None
                    ready(record)

                async with asyncio.TaskGroup() as tasks:
                    work = tasks.create_task(embed_waiting(app))
                    await _listen(guard, bound, server.drain_timeout, announce)
                    work.cancel()


async def _listen(
    asgi: ASGIApp, bound: socket.socket, drain_timeout_s: float, started: Callable[[], None]
) -> None:
    """Answer on the socket until a signal asks to end; running requests get their time."""
    server = _Server(
        uvicorn.Config(
            asgi,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            ws="none",
            http="h11",
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=max(1, round(drain_timeout_s)),
        ),
        started,
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.end)
    try:
        await server.serve(sockets=[bound])
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


class _Server(uvicorn.Server):
    """uvicorn with the signals left to us: it would raise them again before everything is closed."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._announce = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, and say so."""
        await super().startup(sockets)
        if self.started:
            self._announce()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Capture none."""
        yield

    def end(self) -> None:
        """Take no more requests and let those that run end; asked twice, end at once."""
        if self.should_exit:
            self.force_exit = True
        self.should_exit = True
        _log.info("daemon_ends")
