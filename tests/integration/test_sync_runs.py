"""The runs of sync on a real PostgreSQL: each is a row, and of what is due there is one."""

import asyncio
import dataclasses
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from mahavishnu.base.errors import UsageError
from mahavishnu.base.settings.sources import load_settings
from mahavishnu.daemon import background
from mahavishnu.daemon.jobs import sync_job
from mahavishnu.memory.models import NewMemory
from mahavishnu.memory.outbox.outbox import Outbox
from mahavishnu.memory.outbox.port import DeliveryRefusal, MemoryChange
from mahavishnu.memory.outbox.runs import KeptRuns
from tests.conftest import World
from tests.support.fakes import FakeTarget
from tests.support.served import app_of

pytestmark = pytest.mark.postgres
HALF_AN_HOUR = timedelta(minutes=30)


class SlowTarget(FakeTarget):
    """A target that begins to take changes, and goes on when it may."""

    def __init__(self) -> None:
        super().__init__()
        self.began, self.may_go_on = asyncio.Event(), asyncio.Event()

    async def deliver(self, changes: Sequence[MemoryChange]) -> DeliveryRefusal | None:
        self.began.set()
        await self.may_go_on.wait()
        return await super().deliver(changes)


def runs_of(world: World, target: FakeTarget, *, worker: str = "here:1") -> KeptRuns:
    runs = KeptRuns(world.database, Outbox(world.database, world.memories, [target]))
    runs._worker = worker
    return runs


async def test_a_run_is_a_row_with_what_became_of_it(world: World) -> None:
    target = FakeTarget()
    runs = runs_of(world, target)
    for text in ("one", "odd", "three"):
        stored = await world.memories.store(NewMemory(content=text))
        if text == "odd":
            target.refuses[stored.id] = DeliveryRefusal(0, "Never.", "fake.never", final=True)
    while len(target.held) < 2:  # others' transactions may be open for a moment
        await runs.run("checkpoint")
    target.away = True
    await world.memories.store(NewMemory(content="four"))
    while not (await runs.run("manual"))[0].error:
        pass
    failed, *before = await runs.find()
    assert (failed.why, failed.ending, failed.error_code) == ("manual", "failed", "fake.away")
    assert (failed.delivered, failed.refused, failed.waiting) == (0, 0, 1)
    taken = [each for each in before if each.why == "checkpoint"]
    assert [
        sum(each.delivered or 0 for each in taken),
        sum(each.refused or 0 for each in taken),
    ] == [2, 1]
    assert all(each.ended_at and each.ended_at >= each.started_at for each in before)
    assert await runs.find("another") == [] and len(await runs.find(limit=1)) == 1
    with pytest.raises(UsageError):
        await runs.find(limit=0)


async def test_of_two_daemons_on_a_database_one_makes_a_run_that_is_due(world: World) -> None:
    target = FakeTarget()
    one, two = runs_of(world, target), runs_of(world, target, worker="there:1")
    target.away = True
    await world.memories.store(NewMemory(content="one"))
    await one.run("periodic")
    target.away = False
    assert await two.run("periodic", unless_within=HALF_AN_HOUR), "the first one's had failed"
    assert await one.run("periodic", unless_within=HALF_AN_HOUR) == []
    assert await one.run("manual"), "what somebody asks for is done"
    # Its own does not count: a clock that was set back lets no time pass by.
    assert await two.run("periodic", unless_within=HALF_AN_HOUR)
    await world.database.run(
        lambda c: c.execute("UPDATE sync_runs SET started_at = started_at - interval '1 hour'")
    )
    assert await one.run("catch_up", unless_within=HALF_AN_HOUR)


async def test_while_a_run_goes_on_there_is_no_other_and_an_interrupted_one_says_so(
    world: World,
) -> None:
    target = SlowTarget()
    one, two = runs_of(world, target), runs_of(world, target, worker="there:1")
    await world.memories.store(NewMemory(content="one"))
    running = asyncio.create_task(one.run("periodic"))
    await target.began.wait()
    assert [each.ending for each in await two.run("manual")] == ["busy"]
    [row] = await two.find()
    assert (row.ending, row.worker, row.ended_at) == ("running", "here:1", None)
    running.cancel()
    await asyncio.wait([running])
    # The server notices in a moment that it is gone.
    while (await two.find())[0].ending == "running":  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    target.may_go_on.set()
    await two.run("manual")
    newest, interrupted = await two.find()
    assert (newest.ending, newest.delivered, len(target.held)) == ("done", 1, 1)
    assert (interrupted.ending, interrupted.delivered) == ("interrupted", None)


async def test_the_daemon_catches_up_once_what_an_absence_left(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "LOOK_AT_CLOCK_S", 0.0)
    monkeypatch.setattr(background, "DELIVER_EVERY_S", 0.01)
    target = FakeTarget()
    outbox = Outbox(world.database, world.memories, [target])
    app = dataclasses.replace(
        app_of(world, tmp_path), outbox=outbox, sync_runs=KeptRuns(world.database, outbox)
    )
    job = sync_job(load_settings(environ=app.loaded.environ, folder=tmp_path))
    assert job is not None
    with job.times.claim(datetime.now().astimezone() - timedelta(days=7)):
        pass
    for text in ("one", "two"):
        await world.memories.store(NewMemory(content=text))
    looked = 0
    has_due = job.times.claim

    def claim(now: datetime) -> object:
        nonlocal looked
        looked += 1
        return has_due(now)

    monkeypatch.setattr(job.times, "claim", claim)
    task = asyncio.create_task(background.deliver_changes(app, job))
    async with asyncio.timeout(120):
        while looked < 3 or len(target.held) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait([task])
    [run] = await app.sync_runs.find()
    assert (run.why, run.ending) == ("catch_up", "done")
    assert (run.delivered or 0) + (run.waiting or 0) == 2
    assert [each.what for each in app.events.read(limit=9)] == ["sync.run"] * bool(run.delivered)
