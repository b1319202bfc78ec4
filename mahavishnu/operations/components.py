"""How each component of an open application is, and which are asked; a component that is not wanted is healthy."""

import asyncio
import os
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING

import psutil

from mahavishnu.base.daemon.client import ask_health
from mahavishnu.base.daemon.record import find_daemon
from mahavishnu.base.errors import MahavishnuError, Unavailable
from mahavishnu.base.health import ComponentHealth, HealthStatus
from mahavishnu.database.backup.verify import ProvenSet
from mahavishnu.database.embedded.state import Layout
from mahavishnu.memory.metrics import ERRORS, AdapterRuns, count_adapter_runs
from mahavishnu.operations.ai.secret_settings import own_stores
from mahavishnu.operations.service_bodies import Service
from mahavishnu.operations.service_states import Supervised, find_services
from mahavishnu.operations.units import read_units
from mahavishnu.services.health import HealthProvider
from mahavishnu.services.schedule.job import overdue

if TYPE_CHECKING:
    from mahavishnu.app import App

PROVEN_FOR = timedelta(days=30)  # a backup that nobody scheduled
LATE, TOO_LATE = timedelta(days=1), timedelta(days=7)  # a scheduled one that is not proven
ENGINES_SINCE = timedelta(days=7)
_TOLD = frozenset({"running", "failed", "stale", "waiting", "given_up"})
CLOUDS_LIMIT_S = 20.0  # Oneiric takes seconds to load, and bounds its own questions


def providers_of(app: "App") -> tuple[HealthProvider, ...]:
    """Return what a daemon samples, in the order in which it is shown; a further component is a line here."""
    return (
        HealthProvider("database", partial(check_database, app)),
        HealthProvider("model", partial(check_model, app)),
        HealthProvider("daemon", partial(check_daemon, app)),
        HealthProvider("spool", partial(check_spool, app)),
        HealthProvider("backup", partial(check_backup, app)),
        HealthProvider("sync", partial(check_sync, app)),
        HealthProvider("services", partial(check_services, app)),
        HealthProvider("engines", partial(check_engines, app)),
    )


def cloud_provider(app: "App") -> HealthProvider:
    """Return the one of the cloud stores of keys, which costs their questions and is only asked on demand."""
    return HealthProvider("keys", partial(check_clouds, app), limit_s=CLOUDS_LIMIT_S)


async def check_database(app: "App") -> ComponentHealth:
    """Ask the database; one that nobody needed yet is not made for this."""
    if (why := without_database(app)) is not None:
        return ComponentHealth("database", "healthy", why)
    found = await app.database.check()
    told = f"PostgreSQL {found.server_version}, pgvector {found.vector_version}."
    return ComponentHealth("database", "healthy", told, round(found.latency_ms, 3))


def without_database(app: "App") -> str | None:
    """Return why there is no database, and need not be; None where there is to be one."""
    if not app.settings.postgresql.enabled:
        return "Memory is switched off by the setting postgresql.enabled."
    embedded = app.writes.database == "embedded"
    if embedded and not Layout(app.loaded.locations.postgres).cluster.exists():
        return "There is none yet; the first memory makes it."
    return None


async def check_model(app: "App") -> ComponentHealth:
    """Ask where vectors come from, without embedding; where that is away, search goes by words."""
    if without_database(app) is not None:
        return ComponentHealth("model", "healthy", "It is chosen when there is a database.")
    started = perf_counter()
    try:
        choice = await app.space.choice()
        if choice.embedder is None and choice.tried:
            await app.space.reconsider()
            choice = await app.space.choice()
        if choice.embedder is None:
            if not choice.tried:  # nobody wants one
                return ComponentHealth("model", "healthy", choice.reason)
            told = f"{choice.reason} Search goes by words; see: mahavishnu model status"
            return ComponentHealth("model", "degraded", told)
        await choice.embedder.check()
    except MahavishnuError as error:
        # Who refuses, or has another model by now, answers.
        unknown = error.code.startswith("database.")
        answers = unknown or not isinstance(error, Unavailable)
        status: HealthStatus = "degraded" if answers else "unhealthy"
        return ComponentHealth("model", status, f"{error.message} [{error.code}]")
    return ComponentHealth("model", "healthy", choice.reason, _since(started))


async def check_daemon(app: "App") -> ComponentHealth:
    """Ask the daemon; asked in the daemon itself, tell how long one turn of its work takes."""
    record = find_daemon(app.loaded.locations.daemon_lock)
    if record is None:
        told = "None runs; commands and AI clients work without it."
        return ComponentHealth("daemon", "healthy", told)
    started = perf_counter()
    if record.pid == os.getpid():
        await asyncio.sleep(0)
        memory = psutil.Process().memory_info().rss / 2**20
        return ComponentHealth("daemon", "healthy", "", _since(started), round(memory, 1))
    if record.port is None:
        return ComponentHealth("daemon", "starting", f"It begins or ends (pid {record.pid}).")
    status = await asyncio.to_thread(ask_health, record.port)
    if status is None:
        told = f"It does not answer at {record.url} (pid {record.pid})."
        return ComponentHealth("daemon", "unhealthy", told)
    if status != 200:
        told = f"It answers at {record.url}, but cannot work (HTTP {status})."
        return ComponentHealth("daemon", "degraded", told, _since(started))
    return ComponentHealth("daemon", "healthy", f"It runs at {record.url}.", _since(started))


async def check_spool(app: "App") -> ComponentHealth:
    """Count what waits for PostgreSQL, refused writes too."""
    started = perf_counter()
    count = await asyncio.to_thread(app.writes.spool.total)
    if count:
        told = f"{count:,} writes wait; see: mahavishnu spool status"
        return ComponentHealth("spool", "degraded", told, _since(started))
    return ComponentHealth("spool", "healthy", "", _since(started))


async def check_services(app: "App") -> list[ComponentHealth]:
    """
    Tell how the services are that a daemon supervises: those that are to run, and others that do or failed.

    One that its user stopped, or that ended in order, is none; a daemon that supervises nothing at this moment is ill.
    """
    supervisor = app.supervision.supervisor
    supervised = Supervised.of(app.loaded, supervisor)
    units = read_units(supervised.loaded)
    if supervisor is None:
        own = find_daemon(app.loaded.locations.daemon_lock)
        ours = own is not None and own.pid == os.getpid()
        if not ours or not any(each.enabled and each.command for each in units.values()):
            return []
        told = "The daemon does not supervise them at this moment; see: mahavishnu events"
        return [ComponentHealth("services", "unhealthy", told)]
    found = await asyncio.to_thread(find_services, supervised)
    return [
        judge_service(each)
        for each in found.services
        if each.name in units
        and not supervisor.stays_stopped(each.name)
        and (each.name in supervisor.wanted or each.state in _TOLD)
    ]


def judge_service(service: Service) -> ComponentHealth:
    """Return the health of a service: of its last check where it runs, and else of its state."""
    name, health = f"service:{service.name}", service.health
    if service.state == "running" and health is not None:
        return ComponentHealth(
            name, health.status, health.message, health.latency_ms, service.memory_mb
        )
    runs = service.state in ("running", "elsewhere")
    status: HealthStatus = (
        "healthy" if runs else "starting" if service.state == "waiting" else "unhealthy"
    )
    told = service.why or ("" if runs else f"It is {service.state}.")
    return ComponentHealth(name, status, told, memory_mb=service.memory_mb)


async def check_backup(app: "App") -> ComponentHealth:
    """Judge how old the newest proven backup is."""
    proven = await app.backups.newest_proven()
    status, told = judge_backup(proven, app.settings.backup.schedule, datetime.now(UTC))
    return ComponentHealth("backup", status, told)


def describe_proven(proven: ProvenSet) -> str:
    """Say when a drill proved the newest proven set, and of when that set is where it was old then."""
    of = f"; the set is of {proven.created_at:%Y-%m-%d %H:%M} UTC" if proven.was_older else ""
    return f"A drill proved one at {proven.proven_at:%Y-%m-%d %H:%M} UTC{of}."


def judge_backup(
    proven: ProvenSet | None, schedule: str | None, now: datetime
) -> tuple[HealthStatus, str]:
    """
    Return what the newest proven set means; its age counts from when it was made, whenever it was proven.

    Of scheduled backups the first one that came due after it may be a day late; a week is unhealthy. Without a
    schedule a set is good for 30 days, and none is asked for.
    """
    told = describe_proven(proven) if proven else "None is proven."
    if schedule is None:
        old = proven is not None and now - proven.created_at > PROVEN_FOR
        return (
            ("degraded", f"{told} Make another: mahavishnu backup create")
            if old
            else ("healthy", told)
        )
    late = overdue(schedule, proven.created_at, now) if proven else None
    if late is not None and late <= LATE:
        return "healthy", told
    status: HealthStatus = "unhealthy" if late is not None and late > TOO_LATE else "degraded"
    return status, f"{told} One was due by backup.schedule; see: mahavishnu events"


async def check_sync(app: "App") -> ComponentHealth:
    """Look at the targets of sync: what fails, and what was refused for good."""
    if not app.outbox.is_on or without_database(app) is not None:
        return ComponentHealth("sync", "healthy", "Nothing follows the memories.")
    started = perf_counter()
    targets = await app.outbox.status()
    problems = [
        f"{each.name} refused {each.dead:,} changes for good." for each in targets if each.dead
    ]
    problems += [f"{each.name} fails: {each.error}" for each in targets if each.error]
    if app.session_buddy is not None:
        problems += await app.session_buddy.problems()
    status: HealthStatus = "degraded" if problems else "healthy"
    told = " ".join([*problems, "See: mahavishnu sync status"]) if problems else ""
    return ComponentHealth("sync", status, told, _since(started))


async def check_engines(app: "App") -> list[ComponentHealth]:
    """Tell how the last runs of engines ended: those that are on, and had one lately."""
    if without_database(app) is not None:
        return []
    since = datetime.now(UTC) - ENGINES_SINCE
    try:
        runs = await count_adapter_runs(app.database, since=since)
    except MahavishnuError:  # the database is away, and has a line of its own
        return []
    on = app.settings.adapters
    return [judge_engine(each) for each in runs if getattr(on, each.adapter, False)]


def judge_engine(runs: AdapterRuns) -> ComponentHealth:
    """Return the health of an engine: a run that failed stops no other part, and is reported."""
    name, failed = f"engine:{runs.adapter}", runs.last_status in ERRORS
    told = f"{runs.errors:,} of {runs.runs:,} runs failed in {ENGINES_SINCE.days} days"
    if failed:
        return ComponentHealth(name, "degraded", f"Its last run failed; {told}.")
    return ComponentHealth(name, "healthy", f"{told}." if runs.errors else "")


async def check_clouds(app: "App") -> Iterable[ComponentHealth]:
    """Ask every cloud store of keys that the settings name."""
    stores = await app.secrets.health(lambda: own_stores(app.loaded.environ))
    return [replace(each, name=f"keys:{each.name}") for each in stores]


def _since(started: float) -> float:
    return round((perf_counter() - started) * 1000, 3)
