"""Ask for services from outside of the daemon: of the daemon where one runs, of the files where none does."""

import asyncio
from typing import Any
from urllib.parse import urlencode

import msgspec

from mahavishnu.base.daemon.client import DaemonClient
from mahavishnu.base.daemon.record import find_listening
from mahavishnu.base.daemon.token import read_token
from mahavishnu.base.errors import MahavishnuError
from mahavishnu.base.settings.sources import Loaded
from mahavishnu.operations.operation import Operation, Request
from mahavishnu.operations.service_bodies import (
    RestartServices,
    ServiceLines,
    ServiceLog,
    ServiceResults,
    Services,
    ServiceStatus,
    StartServices,
    StopServices,
)
from mahavishnu.operations.service_states import Supervised
from mahavishnu.operations.services import (
    SERVICE_OPERATIONS,
    ServiceAct,
    act_on_services,
    expand_names,
    fail_results,
    read_log,
    restart_client,
    show_services,
)
from mahavishnu.operations.units import SESSIONS

PATIENCE_S = 900.0  # a service may take its time to end and to start
BY_NAME = {each.name: each for each in SERVICE_OPERATIONS}


def ask_status(loaded: Loaded, request: ServiceStatus) -> Services:
    """Return how services are; raises `service.unknown`."""
    client = _find_client(loaded)
    if client is None:
        return show_services(Supervised.of(loaded, None), request)
    return _ask(client, BY_NAME["service_status"], request, Services)


def ask_log(loaded: Loaded, request: ServiceLog) -> ServiceLines:
    """Return the end of a log; the file is here, whoever writes it."""
    return read_log(Supervised.of(loaded, None), request)


async def ask_act(
    loaded: Loaded, act: ServiceAct, names: list[str], *, confirm: bool = True
) -> ServiceResults:
    """
    Start, stop or restart services; raises as `act_on_services`.

    The sessions of a client are restarted by this process, which knows the session that it was called from.
    """
    supervised = Supervised.of(loaded, None)
    client = await asyncio.to_thread(_find_client, loaded)
    if client is None or not confirm:
        return await act_on_services(supervised, act, names, confirm=confirm)
    chosen = expand_names(supervised, act, names)
    own = [name for name in chosen if name in SESSIONS and act == "restart"]
    asked = [name for name in chosen if name not in own]
    results = [await asyncio.to_thread(restart_client, loaded, name) for name in own]
    if asked:
        kinds = {"start": StartServices, "stop": StopServices, "restart": RestartServices}
        more = {} if act == "start" else {"confirm": True}
        request = kinds[act](names=asked, **more)
        operation = BY_NAME[f"{act}_services"]
        try:
            done = await asyncio.to_thread(_ask, client, operation, request, ServiceResults)
        except MahavishnuError as error:
            if not own:
                raise
            results += fail_results(asked, error)
        else:
            results += done.services
    return ServiceResults(confirmed=True, services=results)


def _find_client(loaded: Loaded) -> DaemonClient | None:
    record = find_listening(loaded.locations.daemon_lock)
    if record is None:
        return None
    return DaemonClient(record, read_token(loaded.locations.token), timeout_s=PATIENCE_S)


def _ask[R: msgspec.Struct](
    client: DaemonClient, operation: Operation[Any, Any], request: Request, result: type[R]
) -> R:
    values = msgspec.to_builtins(request)
    path = f"/api/v1{operation.path}"
    if operation.method == "GET":
        path, values = f"{path}?{urlencode(values, doseq=True)}", None
    found: R = msgspec.convert(client.ask(operation.method, path, values), result)
    return found
