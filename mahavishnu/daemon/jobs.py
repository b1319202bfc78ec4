"""The jobs that a server runs at the times of cron expressions: what each does, and the setting that says when."""

import contextlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from mahavishnu.base.errors import Unavailable
from mahavishnu.base.settings.sources import Loaded
from mahavishnu.operations.backup import CreateBackup, DrillBackup, create_backup, drill_backup
from mahavishnu.operations.backup_pruning import PruneBackups, prune_backups
from mahavishnu.operations.operation import Call
from mahavishnu.operations.repositories import ingest_repositories
from mahavishnu.operations.repository_requests import IngestRepositories
from mahavishnu.services.schedule.job import ScheduledJob, check_cron


@dataclass(frozen=True)
class PeriodicJob:
    """
    An act of the journal `what` that runs when `setting` says.

    `would` is what a dry run records, `run` returns what became of it, None where that is not worth an event, or
    raises `MahavishnuError`.
    """

    what: str
    setting: str
    would: str
    run: Callable[[Call], Awaitable[str | None]]
    times: ScheduledJob


def scheduled_jobs(loaded: Loaded) -> tuple[PeriodicJob, ...]:
    """Return the jobs that the settings ask for; raises `UsageError`, `schedule.cron`."""
    return tuple(_jobs(loaded))


def _jobs(loaded: Loaded) -> Iterator[PeriodicJob]:
    def times(name: str, setting: str, cron: str) -> ScheduledJob:
        return ScheduledJob(loaded.locations.state, name, check_cron(cron, key=setting))

    if cron := loaded.settings.knowledge.schedule:
        yield PeriodicJob(
            what="repo.ingest",
            setting="knowledge.schedule",
            would="All known repositories would be read.",
            run=_ingest,
            times=times("ingest", "knowledge.schedule", cron),
        )
    if cron := loaded.settings.backup.schedule:
        yield PeriodicJob(
            what="backup.create",
            setting="backup.schedule",
            would="A set would be made, drilled and pruned.",
            run=_back_up,
            times=times("backup", "backup.schedule", cron),
        )


def sync_job(loaded: Loaded) -> PeriodicJob | None:
    """Return the periodic run of sync, which the task that delivers changes makes; raises as `scheduled_jobs`."""
    setting, cron = "sync.schedule", loaded.settings.sync.schedule
    if cron is None:
        return None
    times = ScheduledJob(
        loaded.locations.state,
        "sync",
        check_cron(cron, key=setting),
        last_pause=timedelta(hours=1),
    )

    async def run(call: Call) -> str | None:
        now = datetime.now().astimezone()
        missed = times.has_missed(now)
        runs = await call.app.sync_runs.run(
            "catch_up" if missed else "periodic", unless_within=times.period(now) / 2
        )
        delivered = sum(each.delivered for each in runs)
        return f"{delivered:,} changes caught up" if missed and delivered else None

    return PeriodicJob(
        what="sync.run",
        setting=setting,
        would="All targets would be given what they lack.",
        run=run,
        times=times,
    )


async def _back_up(call: Call) -> str:
    """Make a set, prove it, and remove what the settings do not keep."""
    made = await create_backup(call, CreateBackup())
    drilled = await drill_backup(call, DrillBackup(set=made.set))
    pruned = await prune_backups(call, PruneBackups(confirm=True))
    return f"{drilled.set} is proven; {pruned.count:,} sets removed"


async def _ingest(call: Call) -> str:
    """Bring what is stored of all known repositories in line with their files; raises `Unavailable` where one fails."""
    every = IngestRepositories(
        names=(),
        group=None,
        showing=lambda own, _: contextlib.nullcontext(own),
        on_ingested=lambda _: None,
        on_failed=lambda *_: None,
    )
    done = await ingest_repositories(call, every)
    if done.failed:
        first, count = done.failed[0], len(done.failed) + len(done.repositories)
        raise Unavailable(
            f"{len(done.failed):,} of {count:,} repositories failed; {first.name}: {first.message}",
            code=first.code,
        )
    new, removed = (
        sum(getattr(each, name) for each in done.repositories) for name in ("new", "removed")
    )
    return (
        f"{len(done.repositories):,} repositories read; {new:,} new chunks, {removed:,} files gone"
    )
