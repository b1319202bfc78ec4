"""
The services from Python, as `mahavishnu service` has them: asked of the daemon where one runs.

`loaded` are settings from `load_settings`; by default they are read again at each call. Every failure is a
`MahavishnuError`, with the same `code` as on the command line, over MCP and over HTTP.
"""

import asyncio
from collections.abc import Mapping, Sequence

from mahavishnu.base.settings.services import ServiceSettings
from mahavishnu.base.settings.sources import Loaded, load_settings
from mahavishnu.interfaces.services import ask_act, ask_log, ask_status
from mahavishnu.operations.operation import read_request
from mahavishnu.operations.service_bodies import (
    ServiceFile,
    ServiceLines,
    ServiceLog,
    ServiceResults,
    Services,
    ServiceStatus,
)
from mahavishnu.operations.services import add_service, enable_service, remove_service


async def status(names: Sequence[str] = (), *, loaded: Loaded | None = None) -> Services:
    """Tell how services are, all or those that are named; raises `service.unknown`."""
    request = read_request(ServiceStatus, {"names": [*names]})
    return await asyncio.to_thread(lambda: ask_status(loaded or load_settings(), request))


async def log(name: str, *, lines: int = 100, loaded: Loaded | None = None) -> ServiceLines:
    """Return the last lines that a service printed; raises `service.unknown`."""
    request = read_request(ServiceLog, {"name": name, "lines": lines})
    return await asyncio.to_thread(lambda: ask_log(loaded or load_settings(), request))


async def add(
    name: str, definition: Mapping[str, object], *, loaded: Loaded | None = None
) -> ServiceFile:
    """
    Add a service, with what `services.NAME` in the settings may have: `{"command": ["python", "-m", "docs"]}`.

    Raises `input.invalid`, `service.exists`, `service.plain_key`.
    """
    said = read_request(ServiceSettings, dict(definition))
    return await asyncio.to_thread(lambda: add_service(loaded or load_settings(), name, said))


async def remove(name: str, *, loaded: Loaded | None = None) -> ServiceFile:
    """Remove a service that was added, not by the settings; raises `service.unknown`, `service.in_settings`."""
    return await asyncio.to_thread(lambda: remove_service(loaded or load_settings(), name))


async def enable(name: str, *, enabled: bool = True, loaded: Loaded | None = None) -> ServiceFile:
    """Say whether a service starts with the daemon; starts and stops nothing now. Raises as `remove`."""
    return await asyncio.to_thread(
        lambda: enable_service(loaded or load_settings(), name, enabled=enabled)
    )


async def start(names: Sequence[str], *, loaded: Loaded | None = None) -> ServiceResults:
    """Start services and wait until they are healthy; raises `service.*`, `daemon.not_running`."""
    return await ask_act(loaded or load_settings(), "start", [*names])


async def stop(
    names: Sequence[str], *, confirm: bool = False, loaded: Loaded | None = None
) -> ServiceResults:
    """Stop services; without `confirm` the result says what would be stopped. Raises as `start`."""
    return await ask_act(loaded or load_settings(), "stop", [*names], confirm=confirm)


async def restart(
    names: Sequence[str], *, confirm: bool = False, loaded: Loaded | None = None
) -> ServiceResults:
    """
    Restart services and wait until they are healthy; a new definition that does not work is rolled back.

    Without `confirm` the result says what would be restarted. Raises as `start`.
    """
    return await ask_act(loaded or load_settings(), "restart", [*names], confirm=confirm)
