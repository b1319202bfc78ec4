"""How each service is, as far as this process can tell: all of it in the daemon, from the files elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import psutil

from mahavishnu.base.daemon.record import find_daemon
from mahavishnu.base.errors import MahavishnuError
from mahavishnu.base.ports import describe_owner, is_free
from mahavishnu.base.settings.sources import Loaded
from mahavishnu.database.embedded.state import KeeperRecord, Layout
from mahavishnu.operations.ai.sessions import FindSessions, find_sessions
from mahavishnu.operations.ai.site import Environments
from mahavishnu.operations.service_bodies import Service, ServiceHealth, Services, ServiceState
from mahavishnu.operations.units import (
    AGENTDB,
    DAEMON,
    POSTGRESQL,
    SESSION_BUDDY,
    SESSIONS,
    open_backend,
    read_again,
    read_units,
)
from mahavishnu.services.supervision.own_backend import OwnBackend
from mahavishnu.services.supervision.policy import HealthTrack
from mahavishnu.services.supervision.supervisor import Supervisor
from mahavishnu.services.supervision.watching import Watched
from mahavishnu.services.units.backend import UnitState
from mahavishnu.services.units.order import find_order_problem
from mahavishnu.services.units.unit import Unit

CLAUDE = "claude"
SETTING_OF = {SESSION_BUDDY: "session_buddy.python", AGENTDB: "services.agentdb.command"}


@dataclass(frozen=True)
class Supervised:
    """The settings of now, the backend, and what supervises in this process: nothing outside of the daemon."""

    loaded: Loaded
    backend: OwnBackend
    supervisor: Supervisor | None

    @classmethod
    def of(cls, loaded: Loaded, supervisor: Supervisor | None) -> "Supervised":
        """Return them with the settings read again."""
        if supervisor is None:
            return cls(loaded, open_backend(loaded), None)
        return cls(read_again(loaded), supervisor.backend, supervisor)  # which knows who runs what


def find_services(supervised: Supervised) -> Services:
    """Return all services: those that are no units first."""
    units = read_units(supervised.loaded)
    gone = [name for name in supervised.backend.known() if name not in units]
    left = {name: supervised.backend.state(name) for name in gone}
    rows = [
        _daemon(supervised.loaded),
        _postgresql(supervised.loaded),
        _sessions(supervised.loaded),
        *(_unit(supervised, each, units) for each in units.values()),
        *(
            _unit(supervised, Unit(name=name, command=(), enabled=False), None)
            for name, state in left.items()
            if state.state in ("running", "stale")
        ),
    ]
    return Services(supervised=supervised.supervisor is not None, services=rows)


def _daemon(loaded: Loaded) -> Service:
    record = find_daemon(loaded.locations.daemon_lock)
    if record is None:
        return Service(name=DAEMON, state="stopped", why="Start it with: mahavishnu up --detach")
    since = datetime.fromisoformat(record.since)
    memory = _memory_mb(record.pid)
    return Service(name=DAEMON, state="running", pid=record.pid, since=since, memory_mb=memory)


def _postgresql(loaded: Loaded) -> Service:
    postgresql = loaded.settings.postgresql
    if postgresql.dsn or postgresql.host:
        return Service(name=POSTGRESQL, state="elsewhere", why="It is a server of your own.")
    record = KeeperRecord.read(Layout(loaded.locations.postgres).keeper_lock)
    server = record.postmaster if record and record.keeper.alive else None
    if server is None or not server.alive:
        return Service(name=POSTGRESQL, state="stopped", why="It starts with its first user.")
    return Service(
        name=POSTGRESQL, state="running", pid=server.pid, memory_mb=_memory_mb(server.pid)
    )


def _sessions(loaded: Loaded) -> Service:
    """Return the sessions of Claude Code as a service: they run, or none does."""
    try:
        environments = Environments.outside_projects(loaded)
        found = find_sessions(environments, FindSessions(clients=[SESSIONS[CLAUDE]])).sessions
    except MahavishnuError as error:
        return Service(name=CLAUDE, state="stopped", why=error.message)
    if not found:
        return Service(name=CLAUDE, state="stopped", why="No session runs.")
    needing = sum(each.needs == "restart" for each in found)
    why = f"Sessions: {len(found)}; {needing} need a restart to follow a switch."
    return Service(name=CLAUDE, state="running", why=why)


def _unit(supervised: Supervised, unit: Unit, units: Mapping[str, Unit] | None) -> Service:
    """Return a unit as a service; `units` are those of the settings, None for one that was removed from them."""
    known = supervised.backend.state(unit.name)
    supervisor = supervised.supervisor
    watched = supervisor.watched.get(unit.name) if supervisor else None
    wanted = supervisor is not None and unit.name in supervisor.wanted
    state, why = _judge(unit, known, watched, wanted=wanted)
    if units is None:
        why = f"It was removed from the settings. Stop it with: mahavishnu service stop {unit.name}"
    elif state == "stopped":
        problem = find_order_problem(units, unit.name) if unit.depends_on else None
        why = problem.message if problem else why or _why_stopped(unit)
    if (
        known.state == "running"
        and supervisor is None
        and find_daemon(supervised.loaded.locations.daemon_lock) is None
    ):
        detached = known.definition is not None and known.definition.detached
        why = why or ("" if detached else "No daemon supervises it; it ends within a minute.")
    runs = state == "running"
    return Service(
        name=unit.name,
        state=state,
        pid=known.pid,
        since=known.since if runs else None,
        restarts=known.restarts if runs or wanted else 0,
        memory_mb=_memory_mb(known.pid) if known.pid else None,
        health=_health(watched.track) if watched and runs else None,
        enabled=unit.enabled and bool(unit.command),
        detached=unit.detached,
        command=list(unit.command),
        depends_on=list(unit.depends_on),
        why=why,
    )


def _judge(
    unit: Unit, known: UnitState, watched: Watched | None, *, wanted: bool
) -> tuple[ServiceState, str]:
    """Return the state of a unit, and why it is so."""
    problem = watched.problem if watched else ""
    if known.state == "running":
        changed = known.definition is not None and not _same(known.definition, unit)
        more = "Its settings changed since; restart it." if changed else ""
        return "running", known.why or problem or more
    if watched and watched.gave_up:
        return "given_up", problem
    starts = watched and (watched.start_failed or watched.held or watched.retry_at is not None)
    if wanted and starts:
        return "waiting", problem or known.why
    if unit.shared and unit.port is not None and not is_free(unit.port):
        return "elsewhere", f"{describe_owner(unit.port)} runs it."
    if not unit.command:
        return "not_configured", not_configured(unit.name)
    return known.state, problem or known.why


def _why_stopped(unit: Unit) -> str:
    if unit.enabled:
        return "It starts with the daemon, and is not to run now."
    return f"It starts only with: mahavishnu service start {unit.name}"


def not_configured(name: str) -> str:
    """Say what makes a unit without a command one that can be started."""
    setting = SETTING_OF.get(name)
    return f"Set {setting}." if setting else "Its program is not installed."


def _same(one: Unit, other: Unit) -> bool:
    """Tell whether two definitions run alike; when they start is another matter."""
    return all(
        getattr(one, name) == getattr(other, name)
        for name in one.__struct_fields__
        if name not in ("enabled", "depends_on", "restart")
    )


def _health(track: HealthTrack) -> ServiceHealth | None:
    """Return what the last check said; a failure that makes a healthy unit not unhealthy yet degrades it."""
    if (last := track.last) is None:
        return None
    single = last.status == "unhealthy" and track.verdict == "healthy"
    return ServiceHealth(
        status="degraded" if single else last.status,
        message=last.message,
        latency_ms=last.latency_ms,
    )


def _memory_mb(pid: int) -> float | None:
    """Return the memory of a process and all that it started."""
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
    except psutil.Error:
        return None
    total = 0
    for each in family:
        try:
            total += each.memory_info().rss
        except psutil.Error:
            continue
    return round(total / 2**20, 1)
