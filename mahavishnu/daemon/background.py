"""
What a server does on its own.

It stores what waits in the spool, gives memories their vectors, keeps vectors in memory, delivers changes, forgets for
age, samples its components and calls, and runs the jobs of `jobs.py` at their times.
"""

import asyncio
import contextlib
import math
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime

import psutil

from mahavishnu.app import App
from mahavishnu.base.errors import Conflict, MahavishnuError, Unavailable
from mahavishnu.base.logs import get_logger
from mahavishnu.daemon.gateway_samples import sample_gateway
from mahavishnu.daemon.jobs import PeriodicJob
from mahavishnu.gateway.records import UseRecord
from mahavishnu.memory.outbox.states import Ran
from mahavishnu.memory.records import Metric
from mahavishnu.operations.components import providers_of
from mahavishnu.operations.operation import Call
from mahavishnu.operations.units import base_environment, open_backend, read_again, read_units
from mahavishnu.services.events.journal import FailureStreak
from mahavishnu.services.schedule.pause import Pause
from mahavishnu.services.supervision.probing import Prober
from mahavishnu.services.supervision.supervisor import Supervisor
from mahavishnu.services.units.order import find_order_problem

LOOK_EVERY_S = 5.0
LOOK_AGAIN_S = 60.0  # where the model is away, or the texts that wait cannot be embedded
AT_ONCE = 64
DELIVER_EVERY_S = 1.0
FOLLOW_EVERY_S = 1.0
WARM_EVERY_S = 10.0
SAMPLE_EVERY_S = 60.0
PRUNE_EVERY_S = 600.0
LOOK_AT_CLOCK_S = 20.0
_log = get_logger(__name__)


async def embed_waiting(app: App) -> None:
    """Work the queue off, for ever; what fails is tried again later, less and less often."""
    pause_s, streak = LOOK_EVERY_S, FailureStreak(app.events, "memory.embed")
    while True:
        await asyncio.sleep(pause_s)
        try:
            await app.space.reconsider()
            waiting = await app.memories.count_waiting(cap=1)
            done = waiting
            while done:
                done = await app.memories.embed_waiting(limit=AT_ONCE)
        except MahavishnuError as error:
            _log.info("embedding_waits", code=error.code, reason=error.message)
            await streak.failed(error)
            pause_s = min(2 * pause_s, LOOK_AGAIN_S)
            continue
        except Exception:  # noqa: BLE001 - a fault here must not end the daemon
            _log.error("embedding_failed", exc_info=True)
            pause_s = LOOK_AGAIN_S
            continue
        await streak.worked()
        stuck = waiting and await _still_waits(app)
        pause_s = min(2 * pause_s, LOOK_AGAIN_S) if stuck else LOOK_EVERY_S


async def follow_vectors(app: App) -> None:
    """Keep the vectors in memory as PostgreSQL has them, for ever."""
    streak = FailureStreak(app.events, "memory.hot")
    while app.hot is not None:
        pause_s = FOLLOW_EVERY_S
        try:
            await app.hot.follow()
            await streak.worked()
        except MahavishnuError as error:
            _log.info("vectors_not_followed", code=error.code, reason=error.message)
            await streak.failed(error)
            pause_s = LOOK_EVERY_S
        except Exception:  # noqa: BLE001 - nor a fault here
            _log.error("vectors_not_followed", exc_info=True)
            app.hot.clear()
            pause_s = LOOK_AGAIN_S
        await asyncio.sleep(pause_s)


async def warm_session_buddy(app: App) -> None:
    """Let each start of Session-Buddy open its databases before somebody searches there, for ever."""
    streak = FailureStreak(app.events, "session_buddy")
    while app.session_buddy is not None:
        try:
            await app.session_buddy.warm()
            await streak.worked()
        except MahavishnuError as error:
            await streak.failed(error)
        await asyncio.sleep(WARM_EVERY_S)


async def prune(app: App) -> None:
    """Forget every ten minutes, for ever, what is too old, and delete tombstones whose time is over."""
    streak, shown = FailureStreak(app.events, "memory.prune"), None
    while True:
        paused = _pause_of(app)
        try:
            if paused is None:
                await _prune(app, streak)
            elif paused.dry_run and paused != shown:
                count = sum((await app.memories.forgetting.count_old()).values())
                await _skip(app, "memory.prune", f"{count:,} memories would be forgotten.")
                shown = paused
        except MahavishnuError as error:
            _log.info("pruning_waits", code=error.code, reason=error.message)
            await streak.failed(error)
        await asyncio.sleep(PRUNE_EVERY_S)


async def _prune(app: App, streak: FailureStreak) -> None:
    await app.memories.forgetting.purge_expired()
    count = await app.memories.forgetting.prune()
    await streak.worked()
    if count:
        _log.info("memories_pruned", count=count)
        why = "They are older than memory.retention allows."
        await asyncio.to_thread(
            app.events.record, "memory.prune", why, f"{count:,} memories forgotten"
        )


def _pause_of(app: App) -> Pause | None:
    try:
        return app.pause.read(datetime.now(UTC))
    except OSError as error:
        _log.warning("pause_not_read", reason=str(error))
        return None


async def _skip(app: App, what: str, after: str) -> None:
    """Record an act that is due in a dry run."""
    await asyncio.to_thread(
        app.events.record, what, "mahavishnu pause --dry-run", after, skipped=True
    )


async def deliver_changes(app: App, job: PeriodicJob | None = None) -> None:
    """
    Deliver to the targets of sync, for ever; the outbox itself says when one that failed is due again.

    The periodic run (`job`) is made in turn with that, and first, so that it counts what an absence left.
    """
    streak = FailureStreak(app.events, "sync.deliver")
    targets: dict[str, FailureStreak] = {}
    now = asyncio.get_running_loop().time
    look_at = now()
    while app.outbox.is_on:
        pause_s = DELIVER_EVERY_S
        if job is not None and now() >= look_at:
            await _run_if_due(app, job)
            look_at = now() + LOOK_AT_CLOCK_S
        try:
            runs = await app.outbox.run()
            await streak.worked()
            for ran in runs:
                known = targets.setdefault(
                    ran.target, FailureStreak(app.events, f"sync.deliver {ran.target}")
                )
                await _note_delivery(app, ran, known)
        except MahavishnuError as error:
            _log.info("delivery_waits", code=error.code, reason=error.message)
            await streak.failed(error)
            pause_s = LOOK_EVERY_S
        except Exception:  # noqa: BLE001 - nor a fault here
            _log.error("delivery_failed", exc_info=True)
            pause_s = LOOK_AGAIN_S
        await asyncio.sleep(pause_s)


async def _note_delivery(app: App, ran: Ran, streak: FailureStreak) -> None:
    """Record when a target begins to fail, when it takes changes again, and what it refused for good."""
    if ran.ending == "failed":
        await streak.failed(Unavailable(ran.error or "", code=ran.error_code))
    elif ran.ending == "done":
        await streak.worked()
    if ran.dead:
        refused = Conflict(
            f"{ran.dead:,} dead letters; see: mahavishnu sync status", code="sync.dead_letters"
        )
        why = "The target refused changes for good."
        await asyncio.to_thread(app.events.record, f"sync.deliver {ran.target}", why, error=refused)


async def sample(
    app: App, *, components: bool = True, count_use: Callable[[UseRecord], None] = lambda _: None
) -> None:
    """
    Record once a minute, for ever, how components are, and how long searches and the embedding took.

    `count_use` gets what went through the gateway.
    """
    while True:
        await asyncio.sleep(SAMPLE_EVERY_S)
        try:
            if not components or await _sample_components(app):
                await _sample_timings(app)
                await sample_gateway(app, count_use)
        except MahavishnuError as error:
            _log.info("samples_not_recorded", code=error.code, reason=error.message)
        except Exception:  # noqa: BLE001 - nor a fault here
            _log.error("sampling_failed", exc_info=True)


async def _sample_components(app: App) -> bool:
    """Look at all components and record what was seen; returns whether the database could take it."""
    app.components.last = seen = await app.components.look(providers_of(app))
    if any(each.name == "database" and each.status == "unhealthy" for each in seen):
        return False
    now = datetime.now(UTC)
    for each in seen:
        known = {"latency_ms": each.latency_ms, "memory_mb": each.memory_mb}
        figures = {
            "health_status": each.status,
            **{name: figure for name, figure in known.items() if figure is not None},
            "error_count": int(each.status == "unhealthy"),
        }
        await app.records.record_metric(
            Metric(
                source=each.name, name="health", figures=figures, text=each.status, recorded_at=now
            )
        )
    return True


async def _sample_timings(app: App) -> None:
    """Record how long searches and the embedding took since this was done before; nothing where there were none."""
    for timings in app.timings:
        figures = timings.take()
        if figures is None:
            continue
        figures["memory_mb"] = round(psutil.Process().memory_info().rss / 2**20, 1)
        state = "healthy" if not figures["error_count"] else "degraded"
        await app.records.record_metric(
            Metric(source=timings.component, name="calls", figures=figures, text=state)
        )


async def send_figures(
    refresh: Callable[[], Awaitable[None]], send: Callable[[], None], *, every_s: float
) -> None:
    """Send the figures of `/metrics` to a collector, for ever."""
    while True:
        try:
            await refresh()
            send()
        except Exception:  # noqa: BLE001 - nor a fault here
            _log.error("figures_not_sent", exc_info=True)
        await asyncio.sleep(every_s)


async def drain_spool(app: App) -> None:
    """Store what waits in the spool once the database is back, for ever."""
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        await app.writes.drain_if_any(budget_s=math.inf)


async def go_on(app: App, what: str, work: Callable[[], Awaitable[None]]) -> None:
    """Do a work that has no end; where a fault ended it, that is an event, and it begins again after a minute."""
    while True:
        try:
            await work()
        except Exception as error:  # noqa: BLE001 - a fault in one must not end the others
            _log.error("work_failed", what=what, exc_info=True)
            failed = Unavailable(
                f"A part of the daemon failed: {type(error).__name__}. It begins again after a minute.",
                hint="See the daemon's log.",
                code="daemon.work_failed",
            )
            why = "It is a defect of Mahavishnu."
            with contextlib.suppress(OSError):
                await asyncio.to_thread(app.events.record, f"daemon.{what}", why, error=failed)
        await asyncio.sleep(LOOK_AGAIN_S)


async def run_scheduled(app: App, job: PeriodicJob) -> None:
    """Run a job, for ever, at its times; a failure is tried again, less and less often."""
    while True:
        await _run_if_due(app, job)
        await asyncio.sleep(LOOK_AT_CLOCK_S)


async def _run_if_due(app: App, job: PeriodicJob) -> None:
    started, paused = datetime.now().astimezone(), _pause_of(app)
    try:
        if paused is None or paused.dry_run:
            with job.times.claim(started) as due:
                if due and paused:
                    await _skip(app, job.what, job.would)
                    await asyncio.to_thread(job.times.succeed, started)
                elif due:
                    await _run_due(app, job, started)
    except OSError as error:
        _log.warning("schedule_not_read", what=job.what, reason=str(error))
    except Exception:  # noqa: BLE001 - nor a fault here
        _log.error("job_failed", what=job.what, exc_info=True)


async def _run_due(app: App, job: PeriodicJob, started: datetime) -> None:
    why = f"{job.setting} is {job.times.cron}."
    try:
        after = await job.run(Call(app, "daemon"))
    except MahavishnuError as error:
        _log.warning("job_failed", what=job.what, code=error.code, reason=error.message)
        await asyncio.to_thread(app.events.record, job.what, why, error=error)
        return
    await asyncio.to_thread(job.times.succeed, started)
    if after is not None:
        await asyncio.to_thread(app.events.record, job.what, why, after)


async def supervise(app: App) -> None:
    """Keep services running, for ever; where that cannot begin or ends by a fault of ours, it begins again."""
    streak = FailureStreak(app.events, "service.supervise")
    while True:
        try:
            app.supervision.supervisor = supervisor = _open_supervisor(app)
            await supervisor.run()
        except MahavishnuError as error:
            _log.warning("services_not_supervised", code=error.code, reason=error.message)
            await streak.failed(error)
        except Exception:  # noqa: BLE001 - nor a fault here
            _log.error("supervision_failed", exc_info=True)
        finally:
            app.supervision.supervisor = None
        await asyncio.sleep(LOOK_EVERY_S)


async def restart_units(app: App, names: Sequence[str]) -> None:
    """
    Restart services whose settings were changed, of those that run or are to run, and wait until they work.

    What somebody stopped stays so, and what can never start is in the way of no other.

    Raises:
        Unavailable: one does not work, or none is supervised at this moment.
        MahavishnuError: the settings cannot be used, or those of one service.
    """
    supervisor = app.supervision.supervisor
    if supervisor is None:
        raise Unavailable("No service is supervised.", code="service.not_supervised")
    units = await asyncio.to_thread(lambda: read_units(read_again(app.loaded)))
    known = [units[name] for name in names if name in units and units[name].command]
    runs = [
        each.name
        for each in known
        if (each.enabled and not supervisor.stays_stopped(each.name))
        or supervisor.backend.state(each.name).state == "running"
    ]
    problems = {name: found for name in runs if (found := find_order_problem(units, name))}
    # Also where none is left: it reads the settings, and stops what was removed.
    outcomes = await supervisor.restart([name for name in runs if name not in problems])
    for problem in problems.values():
        raise problem
    for outcome in outcomes:
        if outcome.outcome in ("failed", "rolled_back"):
            told = f"{outcome.name}: {outcome.reason}"
            raise Unavailable(told, code=outcome.code or "service.unhealthy")


def _open_supervisor(app: App) -> Supervisor:
    async def run_sql(statement: str) -> None:
        async with app.connection() as connection, connection.transaction(readonly=True):
            await connection.execute(statement)

    return Supervisor(
        open_backend(app.loaded),
        Prober(base_environment(app.loaded.environ), run_sql),
        app.events,
        read_units=lambda: read_units(read_again(app.loaded)),
        find_pause=lambda: _pause_of(app),
    )


async def _still_waits(app: App) -> bool:
    try:
        return bool(await app.memories.count_waiting(cap=1))
    except MahavishnuError:
        return True
