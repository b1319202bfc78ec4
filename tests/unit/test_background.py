"""What the daemon does on its own goes on, whatever comes in between."""

import asyncio
import contextlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mahavishnu.base.errors import MahavishnuError, Unavailable, UsageError
from mahavishnu.base.health import ComponentHealth
from mahavishnu.base.settings.sources import load_settings
from mahavishnu.daemon import background
from mahavishnu.daemon.jobs import PeriodicJob, scheduled_jobs, sync_job
from mahavishnu.memory.metrics import Timings
from mahavishnu.memory.outbox.states import Ran
from mahavishnu.memory.records import Metric
from mahavishnu.services.schedule.pause import Pause, PauseFile


async def test_a_fault_in_one_work_is_an_event_and_the_work_begins_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(background, "LOOK_AGAIN_S", 0.0)
    app: Any = Queue(0, [])
    tries = 0
    again = asyncio.Event()

    async def work() -> None:
        nonlocal tries
        tries += 1
        if tries > 1:
            again.set()
            await asyncio.sleep(60)
        raise AttributeError("a fault of ours")

    task = asyncio.create_task(background.go_on(app, "embed", work))
    await asyncio.wait_for(again.wait(), 60)
    task.cancel()
    assert app.events.acts == [Recorded("daemon.embed", None, "daemon.work_failed")]


@dataclass(frozen=True)
class Recorded:
    """An automatic act, as a journal is given it."""

    what: str
    after: str | None
    code: str | None


class Events:
    """A journal in memory."""

    def __init__(self) -> None:
        self.acts: list[Recorded] = []

    def record(
        self,
        what: str,
        _why: str,
        after: str | None = None,
        *,
        before: str | None = None,
        error: MahavishnuError | None = None,
        skipped: bool = False,
    ) -> None:
        code = "skipped" if skipped else error.code if error else None
        self.acts.append(Recorded(what, after, code))


class NoPause:
    """What tells that automatic acts do not rest."""

    @staticmethod
    def read(_: datetime) -> None:
        return None


class Queue:
    """The parts of an application that are asked; each look first raises what `faults` has."""

    def __init__(self, waiting: int, faults: list[Exception]) -> None:
        self.waiting = waiting
        self.faults = faults
        self.done = asyncio.Event()
        self.events = Events()
        self.space = self.memories = self

    async def reconsider(self) -> None:
        if self.faults:
            raise self.faults.pop(0)

    async def count_waiting(self, *, cap: int) -> int:
        return min(cap, self.waiting)

    async def embed_waiting(self, *, limit: int) -> int:
        done = min(limit, self.waiting)
        self.waiting -= done
        if not self.waiting:
            self.done.set()
        return done


@pytest.mark.parametrize(
    "faults",
    [[], [Unavailable("away", code="embedding.unreachable")], [ValueError("a fault")]],
    ids=["nothing", "the model is away", "a fault"],
)
async def test_what_waits_is_embedded_whatever_failed_before(
    monkeypatch: pytest.MonkeyPatch, faults: list[Exception]
) -> None:
    monkeypatch.setattr(background, "LOOK_EVERY_S", 0.001)
    monkeypatch.setattr(background, "LOOK_AGAIN_S", 0.001)
    queue: Any = Queue(1_000, faults)
    task = asyncio.create_task(background.embed_waiting(queue))
    async with asyncio.timeout(60):
        await queue.done.wait()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert queue.waiting == 0 and not faults


class Forgetting:
    """The parts that are asked to forget; the database is away at first."""

    def __init__(self) -> None:
        self.memories = self.forgetting = self
        self.faults = [Unavailable("away", code="database.unreachable")]
        self.pruned = asyncio.Event()
        self.events = Events()
        self.pause = NoPause()

    async def purge_expired(self) -> None:
        if self.faults:
            raise self.faults.pop()

    async def prune(self) -> int:
        if len(self.events.acts) > 2:
            self.pruned.set()
        return 1


async def test_forgetting_for_age_goes_on_when_the_database_is_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(background, "PRUNE_EVERY_S", 0.001)
    app: Any = Forgetting()
    task = asyncio.create_task(background.prune(app))
    async with asyncio.timeout(60):
        await app.pruned.wait()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert app.events.acts[:3] == [
        Recorded("memory.prune", None, "database.unreachable"),
        Recorded("memory.prune", "works", None),
        Recorded("memory.prune", "1 memories forgotten", None),
    ]


class Deliveries:
    """An outbox that first raises what `faults` has."""

    is_on = True

    def __init__(self, faults: list[Exception]) -> None:
        self.outbox = self
        self.faults = faults
        self.delivered = asyncio.Event()
        self.events = Events()
        self.runs = [
            Ran("mirror", "failed", error_code="tests.full", error="full"),
            Ran("mirror", "waiting"),
            Ran("mirror", "done", delivered=1, dead=2),
        ]

    async def run(self) -> list[Ran]:
        if self.faults:
            raise self.faults.pop(0)
        if not self.runs:
            self.delivered.set()
            return []
        return [self.runs.pop(0)]


async def test_changes_are_delivered_whatever_failed_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(background, "LOOK_EVERY_S", 0.001)
    monkeypatch.setattr(background, "LOOK_AGAIN_S", 0.001)
    monkeypatch.setattr(background, "DELIVER_EVERY_S", 0.001)
    outbox: Any = Deliveries([Unavailable("away"), ValueError("a fault")])
    task = asyncio.create_task(background.deliver_changes(outbox))
    async with asyncio.timeout(60):
        await outbox.delivered.wait()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert not outbox.faults
    assert outbox.events.acts == [
        Recorded("sync.deliver", None, "unavailable"),
        Recorded("sync.deliver", "works", None),
        Recorded("sync.deliver mirror", None, "tests.full"),
        Recorded("sync.deliver mirror", "works", None),
        Recorded("sync.deliver mirror", None, "sync.dead_letters"),
    ]


def test_the_daemon_refuses_to_start_with_times_that_never_come(tmp_path: Path) -> None:
    given = {"HOME": str(tmp_path), "MAHAVISHNU_HOME": str(tmp_path)}
    assert not scheduled_jobs(load_settings(environ=given, folder=tmp_path))
    flags = {"backup.schedule": "61 3 * * *"}
    with pytest.raises(UsageError) as caught:
        scheduled_jobs(load_settings(environ=given, folder=tmp_path, flags=flags))
    assert caught.value.code == "schedule.cron"
    for cron, refused in (("61 * * * *", True), ("", True), (None, False)):
        with pytest.raises(UsageError) if refused else contextlib.nullcontext():
            flags = {"sync.schedule": cron}
            assert not sync_job(load_settings(environ=given, folder=tmp_path, flags=flags))


class FailingBackups:
    """An application whose folder of backups cannot be written."""

    def __init__(self, folder: Path) -> None:
        self.loaded = load_settings(
            environ={"HOME": str(folder), "MAHAVISHNU_HOME": str(folder)},
            folder=folder,
            flags={"backup.schedule": "0 3 * * *"},
        )
        self.backups = self
        self.events = Events()
        self.pause = PauseFile(folder)
        self.attempts = 0

    async def create(self, *_: object) -> None:
        self.attempts += 1
        raise Unavailable("full", code="backup.no_room")

    def overdue(self) -> PeriodicJob:
        """Return the job of the setting, which was last claimed two days ago."""
        [job] = scheduled_jobs(self.loaded)
        with job.times.claim(datetime.now().astimezone() - timedelta(days=2)):
            pass
        return job


async def test_a_backup_that_fails_is_an_event_and_waits_before_it_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(background, "LOOK_AT_CLOCK_S", 0.001)
    app: Any = FailingBackups(tmp_path)
    job = app.overdue()
    looks = asyncio.Event()
    claimed = job.times.claim

    def claim(now: datetime) -> contextlib.AbstractContextManager[bool]:
        if app.attempts and app.events.acts:
            looks.set()
        return claimed(now)

    monkeypatch.setattr(job.times, "claim", claim)
    task = asyncio.create_task(background.run_scheduled(app, job))
    async with asyncio.timeout(60):
        await looks.wait()
        looks.clear()
        await looks.wait()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert app.attempts == 1
    assert app.events.acts == [Recorded("backup.create", None, "backup.no_room")]


async def test_while_paused_no_backup_is_made_and_a_dry_run_records_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(background, "LOOK_AT_CLOCK_S", 0.001)
    app: Any = FailingBackups(tmp_path)
    job, now = app.overdue(), datetime.now().astimezone()
    app.pause.write(Pause(since=now))
    looks: asyncio.Queue[None] = asyncio.Queue()
    read = app.pause.read

    def look(moment: datetime) -> Pause | None:
        looks.put_nowait(None)
        found: Pause | None = read(moment)
        return found

    app.pause.read = look
    task = asyncio.create_task(background.run_scheduled(app, job))
    async with asyncio.timeout(60):
        for _ in range(3):
            await looks.get()
        assert not app.attempts and not app.events.acts
        app.pause.write(Pause(since=now, dry_run=True))
        while not app.events.acts:
            await looks.get()
        for _ in range(3):
            await looks.get()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert not app.attempts
    told = "A set would be made, drilled and pruned."
    assert app.events.acts == [Recorded("backup.create", told, "skipped")]


class Sampled:
    """An application whose components are in turn as `looks` has it, and that keeps what is recorded of them."""

    def __init__(self, *looks: list[ComponentHealth], fault: MahavishnuError | None = None) -> None:
        self.records = self.components = self
        self.looks = list(looks)
        self.last: list[ComponentHealth] = []
        self.timings = (Timings("search"), Timings("embedding"))
        for timings in self.timings:
            with timings.timed():
                pass
        self.fault = fault
        self.recorded: asyncio.Queue[Metric] = asyncio.Queue()

    async def look(self, _: object) -> list[ComponentHealth]:
        return self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]

    async def record_metric(self, metric: Metric) -> None:
        if self.fault is not None:
            fault, self.fault = self.fault, None
            raise fault
        self.recorded.put_nowait(metric)


async def samples_of(
    app: Any, count: int, monkeypatch: pytest.MonkeyPatch, *, components: bool = True
) -> list[Metric]:
    """Return the first samples that are recorded of an application."""
    monkeypatch.setattr(background, "SAMPLE_EVERY_S", 0.001)
    monkeypatch.setattr(background, "providers_of", lambda _: ())
    task = asyncio.create_task(background.sample(app, components=components))
    async with asyncio.timeout(60):
        metrics = [await app.recorded.get() for _ in range(count)]
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    return metrics


@pytest.mark.parametrize("fault", [None, Unavailable("away", code="database.unreachable")])
async def test_what_was_asked_is_sampled_and_nothing_where_nothing_was(
    monkeypatch: pytest.MonkeyPatch, fault: MahavishnuError | None
) -> None:
    app = Sampled([], fault=fault)
    metrics = await samples_of(app, 1 if fault else 2, monkeypatch, components=False)
    assert [each.source for each in metrics] == ["search", "embedding"][-len(metrics) :]
    assert metrics[-1].figures["count"] == 1 and metrics[-1].figures["memory_mb"] > 0
    assert app.recorded.empty() and not app.last


async def test_components_are_sampled_and_nothing_is_recorded_while_the_database_is_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    away = [ComponentHealth("database", "unhealthy"), ComponentHealth("daemon", "healthy")]
    back = [
        ComponentHealth("database", "healthy", "", 1.5),
        ComponentHealth("model", "unhealthy", "It is gone."),
        ComponentHealth("daemon", "healthy", "", 0.1, 80.5),
    ]
    app = Sampled(away, away, back)
    metrics = await samples_of(app, 5, monkeypatch)
    assert [(each.source, each.name, each.text, each.figures) for each in metrics[:3]] == [
        ("database", "health", "healthy",
         {"health_status": "healthy", "latency_ms": 1.5, "error_count": 0}),
        ("model", "health", "unhealthy", {"health_status": "unhealthy", "error_count": 1}),
        ("daemon", "health", "healthy",
         {"health_status": "healthy", "latency_ms": 0.1, "memory_mb": 80.5, "error_count": 0}),
    ]  # fmt: skip
    assert len({each.recorded_at for each in metrics[:3]}) == 1
    # What was timed meanwhile is not lost.
    assert [each.source for each in metrics[3:]] == ["search", "embedding"]
    assert app.last == back
