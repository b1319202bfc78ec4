"""The operations on services: how they are, start, stop, restart, logs; and what commands alone can do."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from msgspec import convert, structs

from mahavishnu.base.daemon.client import not_running
from mahavishnu.base.errors import MahavishnuError
from mahavishnu.base.masking import mask_secrets
from mahavishnu.base.settings.services import ServiceSettings
from mahavishnu.base.settings.sources import Loaded
from mahavishnu.operations.ai.sessions import RestartSessions
from mahavishnu.operations.ai.sessions import restart as restart_sessions
from mahavishnu.operations.ai.site import Environments
from mahavishnu.operations.operation import Call, Operation
from mahavishnu.operations.service_bodies import (
    RestartAiServices,
    RestartServices,
    ServiceFile,
    ServiceLines,
    ServiceLog,
    ServiceResult,
    ServiceResults,
    Services,
    ServiceStatus,
    StartServices,
    StopServices,
)
from mahavishnu.operations.service_states import CLAUDE, Supervised, find_services, not_configured
from mahavishnu.operations.units import (
    AGENTDB,
    ALL,
    DAEMON,
    POSTGRESQL,
    SESSION_BUDDY,
    SESSIONS,
    add_unit,
    enable_unit,
    read_units,
    remove_unit,
)
from mahavishnu.services.supervision.acts import UnitOutcome
from mahavishnu.services.units.order import find_dependents, find_order_problem, find_unit
from mahavishnu.services.units.unit import Unit

type ServiceAct = Literal["start", "stop", "restart"]
DONE = {"start": "started", "stop": "stopped", "restart": "restarted"}
# What is no unit, and how it is started and stopped.
BY_OTHERS = {
    DAEMON: "The daemon is restarted by: mahavishnu down; mahavishnu up --detach",
    POSTGRESQL: "PostgreSQL starts with its first user, and ends after its last.",
}
LOG_TAIL_BYTES = 1024 * 1024


def show_services(supervised: Supervised, request: ServiceStatus) -> Services:
    """Return how services are; raises `service.unknown`."""
    found = find_services(supervised)
    by_name = {each.name: each for each in found.services}
    for name in request.names:
        if name not in by_name and name != ALL:
            find_unit({}, name)
    if not request.names or ALL in request.names:
        return found
    chosen = [by_name[name] for name in dict.fromkeys(request.names)]
    return Services(supervised=found.supervised, services=chosen)


def expand_names(supervised: Supervised, act: ServiceAct, names: Iterable[str]) -> list[str]:
    """Return the names that are meant; `all` are the sessions of Claude Code, Session-Buddy, AgentDB and the user's."""
    units = read_units(supervised.loaded)
    found: list[str] = []
    for name in names:
        if name in (*BY_OTHERS, *SESSIONS):
            found.append(name)
        elif name == ALL:
            found += [CLAUDE] if act == "restart" else []
            found += [each.name for each in units.values() if _is_of_all(supervised, each)]
        elif act == "stop" and name not in units and _runs(supervised, name):
            found.append(name)  # it was removed
        else:
            found.append(find_unit(units, name).name)
    return list(dict.fromkeys(found))


def _is_of_all(supervised: Supervised, unit: Unit) -> bool:
    wanted = not unit.shared and (unit.enabled or _runs(supervised, unit.name))
    return unit.name in (SESSION_BUDDY, AGENTDB) or wanted


def _runs(supervised: Supervised, name: str) -> bool:
    return supervised.backend.state(name).state in ("running", "stale")


async def act_on_services(
    supervised: Supervised, act: ServiceAct, names: Sequence[str], *, confirm: bool
) -> ServiceResults:
    """
    Do something to services, one result each; without `confirm` say what would be done.

    Raises (after a restart of sessions these are failed results instead):
        NotFound: `service.unknown`; `daemon.not_running`, where there is something that only the daemon can do.
        UsageError: `service.cycle`, of one that is asked for alone.
        Unavailable: `service.not_supervised`.
    """
    chosen = await asyncio.to_thread(expand_names, supervised, act, names)
    units = await asyncio.to_thread(read_units, supervised.loaded)
    more = _find_running_dependents(supervised, units, chosen) if act == "stop" else []
    chosen += more
    results: list[ServiceResult] = []
    asked: list[str] = []
    # Of several, one that cannot be started is in the way of itself alone.
    judged = units if len(chosen) > 1 and act != "stop" else ()
    for name in chosen:
        if name in BY_OTHERS:
            results.append(_left(name, "unknown", BY_OTHERS[name]))
        elif name in SESSIONS and act != "restart":
            results.append(_left(name, "unknown", "Its sessions are its user's to start and end."))
        elif name not in SESSIONS and not (
            (name in units and units[name].command) or _runs(supervised, name)
        ):
            results.append(_left(name, "not_configured", not_configured(name)))
        elif problem := find_order_problem(units, name) if name in judged else None:
            left = _left(name, supervised.backend.state(name).state, problem.message)
            results.append(structs.replace(left, outcome="failed", code=problem.code))
        elif not confirm:
            state = "unknown" if name in SESSIONS else supervised.backend.state(name).state
            results.append(_left(name, state, f"It would be {DONE[act]}."))
        elif name in SESSIONS:
            results.append(await asyncio.to_thread(restart_client, supervised.loaded, name))
        else:
            asked.append(name)
    if asked:
        try:
            results += await _act(supervised, act, asked)
        except MahavishnuError as error:
            if act != "restart" or not SESSIONS.keys() & chosen:
                raise
            results += fail_results(asked, error)
    told = [_because(each) if each.name in more else each for each in results]
    return ServiceResults(confirmed=confirm, services=told)


async def _act(supervised: Supervised, act: ServiceAct, names: list[str]) -> list[ServiceResult]:
    if supervised.supervisor is None:
        raise not_running()
    return [_result(each) for each in await getattr(supervised.supervisor, act)(names)]


def fail_results(names: Iterable[str], error: MahavishnuError) -> list[ServiceResult]:
    """Return an error as the failed result of each service."""
    return [
        structs.replace(_left(name, "unknown", error.message), outcome="failed", code=error.code)
        for name in names
    ]


def _find_running_dependents(
    supervised: Supervised, units: Mapping[str, Unit], names: Iterable[str]
) -> list[str]:
    """Return what else is to be stopped: it runs, and depends on what runs and is stopped."""
    stopped = [name for name in names if _runs(supervised, name)]
    return [name for name in find_dependents(units, stopped) if _runs(supervised, name)]


def _because(result: ServiceResult) -> ServiceResult:
    told = "It depends on what is stopped."
    return structs.replace(result, reason=f"{result.reason} {told}".strip())


def restart_client(loaded: Loaded, name: str) -> ServiceResult:
    """Restart the sessions of a client that need it and can be resumed where they were, as `ai restart` does."""
    request = RestartSessions(clients=[SESSIONS[name]])
    try:
        done = restart_sessions(Environments.outside_projects(loaded), request).sessions
    except MahavishnuError as error:
        return ServiceResult(
            name=name, outcome="failed", before="unknown", after="unknown",
            reason=error.message, code=error.code,
        )  # fmt: skip
    if not done:
        return ServiceResult(
            name=name, outcome="unchanged", before="unknown", after="unknown",
            reason="No session needs a restart.",
        )  # fmt: skip
    outcomes = [each.outcome for each in done]
    told = {each: outcomes.count(each) for each in dict.fromkeys(outcomes)}
    reasons = dict.fromkeys(each.reason for each in done if each.reason)
    text = f"Sessions {', '.join(f'{what}: {count}' for what, count in told.items())}."
    return ServiceResult(
        name=name,
        outcome="failed" if "stays" in told else "restarted" if "resumed" in told else "left",
        before="running",
        after="running",
        reason=" ".join((text, *(f"{each[:1].upper()}{each[1:]}." for each in reasons))),
    )


def read_log(supervised: Supervised, request: ServiceLog) -> ServiceLines:
    """Return the end of a log; one that is not there has no lines."""
    known = {*read_units(supervised.loaded), *supervised.backend.known()}
    if request.name not in known:
        find_unit({}, request.name)
    path = supervised.backend.log(request.name)
    lines: list[str] = []
    for each in (path.with_name(f"{path.name}.1"), path):
        if each.is_file():
            with each.open("rb") as stream:
                stream.seek(max(0, each.stat().st_size - LOG_TAIL_BYTES))
                lines += stream.read().decode("utf-8", "replace").splitlines()
    hidden = [mask_secrets(each) for each in lines[-request.lines :]]  # others write logs too
    return ServiceLines(name=request.name, path=str(path), lines=hidden)


def add_service(loaded: Loaded, name: str, said: ServiceSettings) -> ServiceFile:
    """Add a service; raises as `add_unit`."""
    path = add_unit(loaded, name, said)
    return ServiceFile(
        name=name, path=str(path), enabled=said.enabled,
        note=f"Start it now: mahavishnu service start {name}",
    )  # fmt: skip


def remove_service(loaded: Loaded, name: str) -> ServiceFile:
    """Remove a service that a command added; raises as `remove_unit`."""
    path = remove_unit(loaded, name)
    note = f"If it still runs, stop it now: mahavishnu service stop {name}"
    return ServiceFile(name=name, path=str(path), enabled=False, note=note)


def enable_service(loaded: Loaded, name: str, *, enabled: bool) -> ServiceFile:
    """Say whether a service starts with the daemon; raises as `enable_unit`."""
    path = enable_unit(loaded, name, enabled=enabled)
    note = f"For now: mahavishnu service {'start' if enabled else 'stop'} {name}"
    return ServiceFile(name=name, path=str(path), enabled=enabled, note=note)


def _left(name: str, state: str, reason: str) -> ServiceResult:
    return ServiceResult(name=name, outcome="left", before=state, after=state, reason=reason)


def _result(outcome: UnitOutcome) -> ServiceResult:
    return convert(outcome, ServiceResult, from_attributes=True)


def _supervised(call: Call) -> Supervised:
    return Supervised.of(call.app.loaded, call.app.supervision.supervisor)


async def service_status(call: Call, request: ServiceStatus) -> Services:
    """Return how services are; no database is asked."""
    return await asyncio.to_thread(lambda: show_services(_supervised(call), request))


async def start_services(call: Call, request: StartServices) -> ServiceResults:
    """Start services."""
    return await act_on_services(_supervised(call), "start", request.names, confirm=True)


async def stop_services(call: Call, request: StopServices) -> ServiceResults:
    """Stop services."""
    return await act_on_services(_supervised(call), "stop", request.names, confirm=request.confirm)


async def restart_services(call: Call, request: RestartServices) -> ServiceResults:
    """Restart services."""
    return await act_on_services(
        _supervised(call), "restart", request.names, confirm=request.confirm
    )


async def restart_ai_services(call: Call, request: RestartAiServices) -> ServiceResults:
    """Restart sessions of Claude Code, Session-Buddy and AgentDB."""
    names = (CLAUDE, SESSION_BUDDY, AGENTDB)
    return await act_on_services(_supervised(call), "restart", names, confirm=request.confirm)


async def service_log(call: Call, request: ServiceLog) -> ServiceLines:
    """Return the end of a service's log."""
    return await asyncio.to_thread(lambda: read_log(_supervised(call), request))


SERVICE_OPERATIONS: tuple[Operation[Any, Any], ...] = (
    Operation(
        name="service_status",
        title="How services are",
        description="The programs that Mahavishnu keeps running on this machine, and the daemon, "
        "the database and sessions of Claude Code beside them: state, pid, since when, restarts, "
        "memory, the last health check, and why something does not run.",
        request=ServiceStatus,
        result=Services,
        run=service_status,
        method="GET",
        path="/services",
        read_only=True,
    ),
    Operation(
        name="service_log",
        title="What a service printed",
        description="The last lines of a service's log. What looks like a key is hidden.",
        request=ServiceLog,
        result=ServiceLines,
        run=service_log,
        method="GET",
        path="/services/{name}/log",
        read_only=True,
    ),
    Operation(
        name="start_services",
        title="Start services",
        description="Start services that are configured, after what they depend on, and wait until "
        "they are healthy. One result for each.",
        request=StartServices,
        result=ServiceResults,
        run=start_services,
        method="POST",
        path="/services/start",
    ),
    Operation(
        name="stop_services",
        title="Stop services",
        description="Stop services; they stay so until somebody starts them. Without confirm=true "
        "nothing is stopped: the answer says what would be.",
        request=StopServices,
        result=ServiceResults,
        run=stop_services,
        method="POST",
        path="/services/stop",
        destructive=True,
    ),
    Operation(
        name="restart_services",
        title="Restart services",
        description="Restart services and wait until they are healthy; a new definition that does "
        "not work is rolled back. Without confirm=true nothing is restarted: the answer says what "
        "would be.",
        request=RestartServices,
        result=ServiceResults,
        run=restart_services,
        method="POST",
        path="/services/restart",
        destructive=True,
        idempotent=False,
    ),
    Operation(
        name="restart_ai_services",
        title="Restart what is around AI clients",
        description="Restart the sessions of Claude Code that a switch has not reached and that are "
        "idle, Session-Buddy, and AgentDB: one result for each. Without confirm=true nothing is "
        "restarted: show the user what would be, and confirm only when they agree.",
        request=RestartAiServices,
        result=ServiceResults,
        run=restart_ai_services,
        method="POST",
        path="/services/restart-ai",
        destructive=True,
        idempotent=False,
    ),
)
