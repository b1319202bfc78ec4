"""The jobs that a server runs at the times of cron expressions: what each does, and the setting that says when."""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

from mahavishnu.base.settings.sources import Loaded
from mahavishnu.operations.backup import CreateBackup, DrillBackup, create_backup, drill_backup
from mahavishnu.operations.backup_pruning import PruneBackups, prune_backups
from mahavishnu.operations.operation import Call
from mahavishnu.services.schedule.job import ScheduledJob, check_cron


@dataclass(frozen=True)
class PeriodicJob:
    """
    An act of the journal `what` that runs when `setting` says.

    `would` is what a dry run records, `run` returns what became of it, or raises `MahavishnuError`.
    """

    what: str
    setting: str
    would: str
    run: Callable[[Call], Awaitable[str]]
    times: ScheduledJob


def scheduled_jobs(loaded: Loaded) -> tuple[PeriodicJob, ...]:
    """Return the jobs that the settings ask for; raises `UsageError`, `schedule.cron`."""
    return tuple(_jobs(loaded))


def _jobs(loaded: Loaded) -> Iterator[PeriodicJob]:
    def times(name: str, setting: str, cron: str) -> ScheduledJob:
        return ScheduledJob(loaded.locations.state, name, check_cron(cron, key=setting))

    if cron := loaded.settings.backup.schedule:
        yield PeriodicJob(
            what="backup.create",
            setting="backup.schedule",
            would="A set would be made, drilled and pruned.",
            run=_back_up,
            times=times("backup", "backup.schedule", cron),
        )


async def _back_up(call: Call) -> str:
    """Make a set, prove it, and remove what the settings do not keep."""
    made = await create_backup(call, CreateBackup())
    drilled = await drill_backup(call, DrillBackup(set=made.set))
    pruned = await prune_backups(call, PruneBackups(confirm=True))
    return f"{drilled.set} is proven; {pruned.count:,} sets removed"
