"""Run the gateway: bind, serve until a signal, let running requests end."""

import asyncio
import contextlib
import errno
import signal
import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from aiohttp import web

from mahavishnu.ai.profiles.profile import Profile
from mahavishnu.ai.routes.routes import routes_in, tokens_in
from mahavishnu.ai.secrets.reference import Reference
from mahavishnu.base.errors import Conflict, Forbidden
from mahavishnu.base.logs import get_logger
from mahavishnu.base.masking import Secret
from mahavishnu.base.ports import describe_owner
from mahavishnu.gateway.breaker import Breakers
from mahavishnu.gateway.daily import DailyUse
from mahavishnu.gateway.notes import EventKeeper, GatewayNotes
from mahavishnu.gateway.passing import Passing
from mahavishnu.gateway.places import HOST, PARTING_S, breakers_in, folder_in
from mahavishnu.gateway.prices import price_of
from mahavishnu.gateway.provider import ProviderSession, Times
from mahavishnu.gateway.records import UseLog, UseRecord
from mahavishnu.gateway.server import GatewayLimits, GatewayServer
from mahavishnu.gateway.sight import ProfileKeys, Sight

_BACKLOG = 1_024
_log = get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class GatewayParts:
    """
    What the gateway is made with, of plain values.

    `profile_files` are those that `read_profiles` reads; `resolve` reads a key and may take its time.
    """

    state: Path
    port: int
    environ: Mapping[str, str]
    times: Times
    limits: GatewayLimits
    drain_s: float
    journal: EventKeeper
    profile_files: Callable[[], Iterable[Path]]
    read_profiles: Callable[[], Mapping[str, Profile]]
    resolve: Callable[[Reference], Secret]


async def serve_gateway(parts: GatewayParts, ready: Callable[[int], None]) -> None:
    """
    Serve until SIGTERM or SIGINT; `ready` is called with the port once requests are answered.

    Raises:
        Conflict: `gateway.port_taken`.
        Forbidden: `gateway.port_forbidden`.
    """
    folder = folder_in(parts.state)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    bound = _bind(parts.port)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    daily = DailyUse(folder, parts.limits.daily)

    def count_cost(record: UseRecord) -> None:
        add = partial(daily.add, record.profile, cost=record.cost or 0.0)
        with contextlib.suppress(RuntimeError):  # the loop ended
            loop.call_soon_threadsafe(add)

    with bound, UseLog(folder, price_of, count_cost) as uses:

        def write(record: UseRecord, url: str) -> None:
            daily.add(record.profile, tokens=(record.input or 0) + (record.output or 0))
            uses.add(record, url)

        async with ProviderSession(parts.environ, parts.times) as provider:
            sight = Sight.of(
                routes_in(parts.state),
                tokens_in(parts.state),
                parts.profile_files,
                parts.read_profiles,
            )
            breakers = Breakers(breakers_in(parts.state))
            notes = GatewayNotes(parts.journal, write)
            passing = Passing(provider, ProfileKeys(parts.resolve), breakers, notes)
            server = GatewayServer(sight, passing, breakers, notes, daily, parts.limits)
            listener = server.listener()
            runner = web.ServerRunner(listener, shutdown_timeout=PARTING_S / 2)
            try:
                await runner.setup()
                site = web.SockSite(runner, bound, backlog=_BACKLOG)
                await site.start()
                ready(bound.getsockname()[1])
                await ended.wait()
                _log.info("gateway_ends")
                await site.stop()
                listener.pre_shutdown()  # a connection ends with the request that it has
                await server.idle(parts.drain_s)
                passing.stop()
            finally:
                await runner.cleanup()
                await notes.close()


def _bind(port: int) -> socket.socket:
    # The protocol is named, or asyncio would leave Nagle's algorithm on.
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((HOST, port))
        bound.listen(_BACKLOG)
    except OSError as error:
        bound.close()
        if error.errno == errno.EADDRINUSE:
            raise Conflict(
                f"Port {port} is taken by {describe_owner(port)}.",
                hint="End that, or set gateway.port to another one, and switch again.",
                code="gateway.port_taken",
            ) from error
        raise Forbidden(
            f"Port {port} cannot be used: {error.strerror}.",
            hint="Set gateway.port to one above 1023.",
            code="gateway.port_forbidden",
        ) from error
    return bound
