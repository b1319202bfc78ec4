"""Run the daemon: claim the data directory, bind, open the application, serve, drain, let go."""

import asyncio
import contextlib
import os
import resource
import signal
import socket
from collections.abc import Awaitable, Callable, Generator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from mahavishnu import __version__
from mahavishnu.app import open_app
from mahavishnu.base.daemon.record import Claim, DaemonRecord, claim, find_daemon
from mahavishnu.base.daemon.token import TokenFile, ensure_token
from mahavishnu.base.errors import Unavailable
from mahavishnu.base.logs import get_logger
from mahavishnu.base.paths import private_folder
from mahavishnu.base.settings.sources import Loaded
from mahavishnu.base.settings.tree import ServerSettings
from mahavishnu.base.telemetry.start import figures_every_s, sending_telemetry
from mahavishnu.daemon.alerting import follow_events
from mahavishnu.daemon.background import (
    deliver_changes,
    drain_spool,
    embed_waiting,
    follow_vectors,
    go_on,
    prune,
    restart_units,
    run_scheduled,
    sample,
    send_figures,
    supervise,
    warm_session_buddy,
)
from mahavishnu.daemon.config_watch import ConfigWatch
from mahavishnu.daemon.failover import AutoSwitch
from mahavishnu.daemon.free_memory import free_memory, keep_what_is_there
from mahavishnu.daemon.jobs import scheduled_jobs, sync_job
from mahavishnu.daemon.log_file import keep_log
from mahavishnu.daemon.port import BACKLOG, bind
from mahavishnu.interfaces.http.asgi import open_asgi, refresh_metrics
from mahavishnu.interfaces.http.connection import HttpConnection
from mahavishnu.interfaces.http.guard import Guard
from mahavishnu.interfaces.http.log_limits import limit_log
from mahavishnu.interfaces.http.metrics import Metrics
from mahavishnu.operations.ai.alert_channels import alert_channels

KEEP_ALIVE_S = 75
LOOK_AT_LOCK_S = 5.0
DATE_EVERY_S = 1.0
SPARE_CONNECTIONS = 256  # that have no request, or are told that there are too many
ACCEPTED_AT_ONCE = 64  # as often asyncio tries, and complains where files run out
OTHER_FILES = 512  # database, libraries, what was accepted and is given up
_log = get_logger(__name__)


class Interrupted(Exception):
    """Ctrl-C, before the daemon had begun."""


async def serve(
    loaded: Loaded, ready: Callable[[DaemonRecord], None], *, log: Path | None = None
) -> None:
    """
    Serve until SIGTERM or SIGINT; `ready` is called once requests are answered.

    `log` is the file that stdout and stderr lead to, which is then kept from growing without end.

    Raises:
        Conflict: a daemon serves the data directory already, or the port is taken.
        MahavishnuError: the token cannot be used, or what `open_app` raises.
    """
    locations, server = loaded.locations, loaded.settings.server
    since = datetime.now(UTC).isoformat(timespec="seconds")
    limit_log()
    asyncio.get_running_loop().set_exception_handler(note_failure)
    jobs, channels = scheduled_jobs(loaded), alert_channels(loaded)
    sync = sync_job(loaded)
    most = allow_connections(server.max_requests)
    telemetry = loaded.settings.telemetry
    with (
        sending_telemetry(
            enabled=telemetry.enabled,
            endpoint=telemetry.endpoint,
            environ=loaded.environ,
            lasting=True,
        ) as send,
        _ended_before_it_began(),
        claim(locations.daemon_lock, version=__version__, since=since) as held,
    ):
        ensure_token(locations.token)
        with contextlib.closing(bind(server.port)) as bound:
            os.chdir(private_folder(locations.data))  # not to hold whatever folder it began in
            metrics = Metrics()
            async with (
                open_app(loaded, required=False, hot=True) as app,
                open_asgi(app, metrics, max_body=server.max_body) as asgi,
            ):
                guard = Guard(
                    asgi,
                    token=TokenFile(locations.token),
                    limits=server,
                    metrics=metrics,
                    settings=loaded.settings,
                )

                def announce() -> None:
                    held.announce(bound.getsockname()[1])
                    record = find_daemon(locations.daemon_lock)
                    assert record is not None
                    ready(record)
                    keep_what_is_there()

                restart = partial(restart_units, app)
                async with asyncio.TaskGroup() as tasks:
                    works: dict[str, Callable[[], Awaitable[None]]] = {
                        # First, so that a new channel hears of what the others begin with.
                        **{
                            f"alerts.{name}": partial(follow_events, app, each)
                            for name, each in channels.items()
                        },
                        "embed": partial(embed_waiting, app),
                        "vectors": partial(follow_vectors, app),
                        "session_buddy": partial(warm_session_buddy, app),
                        "prune": partial(prune, app),
                        "deliver": partial(deliver_changes, app, sync),
                        "sample": partial(sample, app, count_use=metrics.count_use),
                        "spool": partial(drain_spool, app),
                        **{job.what: partial(run_scheduled, app, job) for job in jobs},
                        "supervise": partial(supervise, app),
                        "config": ConfigWatch(app, restart).run,
                        "failover": AutoSwitch(app).run,
                        "memory": free_memory,
                    }
                    if send is not None:
                        works["figures"] = partial(
                            send_figures,
                            partial(refresh_metrics, app, metrics),
                            partial(send, metrics.collect),
                            every_s=figures_every_s(loaded.environ),
                        )
                    if log is not None:
                        works["log"] = partial(keep_log, log)
                    running = [tasks.create_task(_end_without_lock(held))]
                    running += [
                        tasks.create_task(go_on(app, what, work)) for what, work in works.items()
                    ]
                    await listen(guard, bound, server, most, announce, held.conceal)
                    for each in running:
                        each.cancel()


@contextlib.contextmanager
def _ended_before_it_began() -> Generator[None]:
    """Let a signal end what goes on in the block, until `listen` takes signals for itself."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    told: list[int] = []

    def end(number: int) -> None:
        told.append(number)
        task.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end, number)
    try:
        yield
    except asyncio.CancelledError:
        task.uncancel()
        if signal.SIGINT in told:
            raise Interrupted from None
        raise Unavailable(
            "The daemon was asked to end before it had started.",
            hint="Start it with: mahavishnu up --detach",
            code="daemon.ended",
        ) from None


def note_failure(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log without a traceback that a connection broke whose end nobody waits for, as asyncpg closes expired ones."""
    error = context.get("exception")
    if isinstance(error, OSError):
        _log.info("connection_broke", reason=str(error))
    else:
        loop.default_exception_handler(context)


async def _end_without_lock(held: Claim) -> None:
    """End this daemon where its lock was removed: nobody could find it, and another may begin."""
    while held.holds:  # noqa: ASYNC110 - files tell nobody
        await asyncio.sleep(LOOK_AT_LOCK_S)
    _log.error("lock_lost")
    signal.raise_signal(signal.SIGTERM)


async def listen(
    asgi: ASGIApp,
    bound: socket.socket,
    settings: ServerSettings,
    most: int,
    started: Callable[[], None],
    ending: Callable[[], None],
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
            http=partial(HttpConnection, timeout_s=settings.request_timeout, most=most),  # type: ignore[arg-type]
            backlog=ACCEPTED_AT_ONCE,
            timeout_keep_alive=KEEP_ALIVE_S,
            # Of 0 seconds uvicorn would complain where nothing runs at all.
            timeout_graceful_shutdown=max(0.1, settings.drain_timeout),  # type: ignore[arg-type]
        ),
        started,
        ending,
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

    def __init__(
        self, config: uvicorn.Config, started: Callable[[], None], ending: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._announce = started
        self._conceal = ending
        self._ends = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, and say so."""
        await super().startup(sockets)
        for bound in sockets or ():
            bound.listen(BACKLOG)  # asyncio took the number of those it accepts at once
        if self.started:
            self._announce()

    async def main_loop(self) -> None:
        """Set the date of answers once a second; uvicorn wakes ten times in it to see whether it is to end."""
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ends.wait(), DATE_EVERY_S)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    def end(self) -> None:
        """Take no more requests and let those that run end; asked twice, end at once."""
        if self.should_exit:
            self.force_exit = True
            for connection in list(self.server_state.connections):
                connection.transport.abort()
            for task in self.server_state.tasks:
                task.cancel()
        self.should_exit = True
        self._ends.set()
        self._conceal()
        _log.info("daemon_ends")


def allow_connections(requests: int) -> int:
    """
    Return how many connections there may be, and let this process have the files for them.

    There are some more than requests, but not more than the system allows: the usual bound of files
    is 1,024 or less.
    """
    bound, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = requests + SPARE_CONNECTIONS + OTHER_FILES
    if bound < wanted:
        bound = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
        resource.setrlimit(resource.RLIMIT_NOFILE, (bound, most))
    return min(requests + SPARE_CONNECTIONS, max(bound - OTHER_FILES, bound // 2))
