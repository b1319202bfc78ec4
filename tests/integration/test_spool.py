"""Writes that are handed in while a real PostgreSQL is away, and stored once it is back."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from mahavishnu.app import App
from mahavishnu.base.errors import Conflict, NotFound, Unavailable, UsageError
from mahavishnu.base.identifiers import new_id
from mahavishnu.daemon import background
from mahavishnu.database import late
from mahavishnu.memory import models
from mahavishnu.memory.conversations import NewTurn
from mahavishnu.memory.executions import get_execution
from mahavishnu.memory.models import BroughtVector, MemoryFilter, NewMemory, utc_now
from mahavishnu.memory.records import NewExecution
from mahavishnu.memory.spool import drain, writes
from mahavishnu.memory.spool.drain import Drained
from mahavishnu.memory.spool.entries import Write, write_down
from mahavishnu.operations.forgetting import ForgetMemory, forget_memory
from mahavishnu.operations.operation import Call
from mahavishnu.operations.spool import DrainSpool, SpoolStatus, drain_spool, spool_status
from tests.support.away import Link
from tests.support.away import link as link

pytestmark = pytest.mark.postgres
MOMENT = datetime(2026, 1, 2, tzinfo=UTC)


def turn(content: str, position: int = 0) -> NewTurn:
    return NewTurn(session_id="s", position=position, role="user", content=content)


def execution(status: str = "completed", execution_id: str = "e") -> NewExecution:
    ended = MOMENT + timedelta(minutes=1) if status == "completed" else None
    return NewExecution(
        execution_id=execution_id, workflow_id="w", adapter="a", status=status,  # type: ignore[arg-type]
        started_at=MOMENT, finished_at=ended,
    )  # fmt: skip


async def texts(app: App) -> list[str]:
    found = await app.memories.list_memories(MemoryFilter(), limit=1000)
    return [each.content for each in sorted(found, key=lambda each: each.memory_no)]


def put(link: Link, app: App, *spooled: Write) -> None:
    """Let writes wait for the application's database."""
    link.spool.append([write_down(each, app.writes.database) for each in spooled])


async def test_what_is_handed_in_while_it_is_away_waits_and_is_stored_in_order(link: Link) -> None:
    async with link.open() as app:
        assert (await app.writes.store(NewMemory(content="before"))).waits is None
        assert not link.spool.is_there, "while nothing waits nothing is made"
        await link.cut()
        kept = [
            await app.writes.store(NewMemory(content="one", metadata={"a": 1})),
            await app.writes.record_turn(turn("two")),
            await app.writes.store(NewMemory(content="three")),
            await app.writes.record_execution(execution()),
            *await app.writes.store_batch([NewMemory(content="five"), NewMemory(content="four")]),
        ]
        for each in kept:
            assert each.created and each.waits and "cannot be reached" in each.waits
        assert [each.kinds for each in link.spool.count()] == [
            {"execution": 1, "memory": 4, "turn": 1}
        ]
        with pytest.raises(Unavailable):
            await app.memories.list_memories(MemoryFilter())
        link.restore()
        assert (await app.writes.store(NewMemory(content="after"))).waits is None
        assert link.spool.total() == 0
        run = "Workflow w (a) completed after 1 min 0 s."
        told = await texts(app)
        assert told == ["before", "one", "two", "three", run, "five", "four", "after"]
        for each, text in zip(kept[:3], told[1:4], strict=True):
            assert (await app.memories.get(each.id)).content == text
        assert (await get_execution(app.database, str(kept[3].id))).id == kept[3].id
        assert (await app.conversations.read("s"))[0].memory_id == kept[1].id
        assert await app.memories.count_waiting() == len(told), "vectors are made afterwards"


async def test_one_that_opens_meanwhile_keeps_too_and_the_next_one_stores(link: Link) -> None:
    await link.cut()
    with pytest.raises(Unavailable):
        async with link.open(required=True):
            pass
    async with link.open() as app:
        kept = await app.writes.store(NewMemory(content="x"))
        with pytest.raises(Unavailable):
            async with app.connection():
                pass
        link.restore()
        async with app.connection() as connection:
            assert await connection.fetchval("SELECT 1") == 1
        assert (await app.health()).revision
    with pytest.raises(UsageError):
        await app.memories.get(kept.id)
    async with link.open(required=True) as app:
        assert await texts(app) == ["x"] and (await app.memories.get(kept.id)).content == "x"
        [event] = app.events.read(limit=9)
        assert (event.what, event.after) == ("spool.drain", "1 stored")


async def test_many_who_ask_while_it_is_away_wait_for_one_try(
    link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(late, "PAUSE_S", 3600.0)
    await link.cut()
    async with link.open() as app:
        link.restore()  # which nobody finds out before the pause is over
        news = [NewMemory(content=f"m{n}") for n in range(20)]
        kept = await asyncio.gather(*map(app.writes.store, news))
        assert link.spool.total() == 20 and all(each.waits for each in kept)


async def test_the_id_of_a_duplicate_leads_to_what_was_there(link: Link) -> None:
    async with link.open() as app:
        known = await app.writes.store(NewMemory(content="same", project="p"))
        said = await app.writes.record_turn(turn("hello"))
        ran = await app.writes.record_execution(execution("running"))
        await link.cut()
        one, two, other = [
            await app.writes.store(NewMemory(content="same", project=project))
            for project in ("p", "p", "q")
        ]
        said_again = await app.writes.record_turn(turn("hello"))
        ended = await app.writes.record_execution(execution())
        link.restore()
        assert await app.writes.drain() == Drained(stored=1, known=4)
        assert len({known.id, one.id, two.id, other.id}) == 4
        for each in (one, two):
            for reference in (str(each.id), each.id.hex[-8:], each.id.hex[-6:]):
                assert await app.memories.resolve(reference) == known.id
        assert await app.memories.resolve(str(said_again.id)) == said.id
        for reference in (str(ended.id), ended.id.hex[-8:]):
            found = await get_execution(app.database, reference)
            assert (found.id, found.status) == (ran.id, "completed")
        await app.memories.forget([known.id])
        with pytest.raises(NotFound):
            await app.memories.get(await app.memories.resolve(str(one.id)))


async def test_what_was_stored_and_not_taken_out_is_not_stored_again(link: Link) -> None:
    """As after a process that was killed between the two; also where the text was corrected since."""
    async with link.open() as app:
        known = await app.writes.store(NewMemory(content="known"))
        spooled = [NewMemory(content="kept"), NewMemory(content="corrected"), NewMemory(content="known"),
                   turn("said"), execution()]  # fmt: skip
        entries = [write_down(each, app.writes.database) for each in spooled]
        link.spool.append(entries)
        assert await app.writes.drain() == Drained(stored=4, known=1)
        before = await texts(app)
        await app.memories.supersede(entries[1].id, "right")
        await app.memories.supersede(known.id, "known better")
        link.spool.append(entries)
        assert await app.writes.drain() == Drained(stored=3, settled=2)
        gone = {"corrected", "known"}
        rest = [text for text in before if text not in gone]
        assert await texts(app) == [*rest, "right", "known better"]
        assert len(await app.conversations.read("s")) == len(await app.records.list_executions())


@pytest.mark.parametrize("purge", [False, True])
async def test_what_is_forgotten_before_it_was_taken_out_stays_gone(
    link: Link, purge: bool
) -> None:
    """As where a drainer was killed between the two while this process was open."""
    async with link.open() as app:
        known = await app.writes.store(NewMemory(content="known"))
        entries = [
            write_down(NewMemory(content=text), app.writes.database) for text in ("secret", "known")
        ]
        link.spool.append(entries)
        await app.writes.drain()
        link.spool.append(entries)
        for dry_run in (True, False):
            gone = await app.memories.forget(
                [entries[0].id, known.id], dry_run=dry_run, purge=purge
            )
            assert set(gone) == {entries[0].id, known.id}
        assert not link.spool.has_waiting(app.writes.database)
        if not purge:  # the spool of another machine
            link.spool.append(entries)
            assert await app.writes.drain() == Drained(settled=2)
        assert await texts(app) == []


async def test_an_id_that_waits_can_be_forgotten(link: Link) -> None:
    async with link.open() as app:
        put(link, app, NewMemory(content="x"))
        [entry] = link.spool.read(app.writes.database, limit=1)
        told = await forget_memory(
            Call(app, "test"), ForgetMemory(ids=[str(entry.id)], confirm=True)
        )
        assert told.ids == [entry.id] and await texts(app) == []


async def test_a_clock_that_is_ahead_loses_nothing(
    link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with link.open() as app:
        soon, past = utc_now() + timedelta(days=1), utc_now() - timedelta(days=1)
        put(
            link,
            app,
            NewMemory(content="kept", expires_at=soon),
            NewMemory(content="over", expires_at=past),
        )
        monkeypatch.setattr(models, "utc_now", lambda: datetime.now(UTC) + timedelta(days=2))
        assert await app.writes.drain() == Drained(stored=1, settled=1)
        assert await texts(app) == ["kept"]


async def test_what_is_refused_for_good_lets_the_others_go_on_and_can_be_tried_again(
    link: Link,
) -> None:
    async with link.open() as app:
        taken = await app.writes.store(NewMemory(content="taken"))
        soon = utc_now() + timedelta(milliseconds=1)
        put(link, app, NewMemory(content="a"), NewMemory(content="b", id=taken.id),
            NewMemory(content="over", expires_at=soon), NewMemory(content="c"))  # fmt: skip
        while utc_now() < soon:
            pass
        assert await app.writes.drain() == Drained(stored=2, settled=1, refused=1)
        [refused] = link.spool.list_refused(limit=9)
        assert refused.problem is not None and refused.problem[0] == "memory.id_taken"
        assert (await app.writes.store(NewMemory(content="d"))).waits is None
        assert await app.writes.drain() == Drained(), "it is in nobody's way"
        await app.memories.forget([taken.id])
        done = await drain_spool(Call(app, "test"), DrainSpool(confirm=True))
        assert (done.stored, done.waiting) == (1, 0)
        assert await texts(app) == ["a", "c", "d", "b"]


async def test_what_waits_for_another_database_is_left_alone_until_that_is_this_one(
    link: Link,
) -> None:
    link.spool.append([write_down(NewMemory(content="x"), "me@old/memories")])
    async with link.open() as app:
        call = Call(app, "test")
        assert (await app.writes.store(NewMemory(content="y"))).waits is None
        [waiting] = (await spool_status(call, SpoolStatus())).waiting
        assert (waiting.database, waiting.count) == ("me@old/memories", 1)
        with pytest.raises(NotFound):
            await drain_spool(call, DrainSpool(former="me@other/memories", confirm=True))
        only_told = await drain_spool(call, DrainSpool(former="me@old/memories"))
        assert (only_told.confirmed, only_told.waiting) == (False, 1)
        done = await drain_spool(call, DrainSpool(former="me@old/memories", confirm=True))
        assert (done.stored, done.waiting) == (1, 0) and await texts(app) == ["y", "x"]


async def test_what_comes_while_another_process_stores_waits_behind(
    link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with link.open() as app:
        put(link, app, NewMemory(content="first"))
        with link.spool.turn() as ours:
            assert ours and (await app.writes.store(NewMemory(content="second"))).waits
            assert await app.writes.drain() == Drained(busy=True)
        monkeypatch.setattr(writes, "PASSING_S", -1.0)  # nobody has the time to store what waits
        assert (await app.writes.store(NewMemory(content="third"))).waits
        assert await app.writes.drain() == Drained(stored=3)
        assert await texts(app) == ["first", "second", "third"]


async def test_two_drainers_at_once_store_each_write_once(link: Link) -> None:
    async with link.open() as one, link.open() as two:
        put(link, one, *(NewMemory(content=f"m{n:03}") for n in range(600)))
        done = await asyncio.gather(*(app.writes.drain() for app in (one, two, one)))
        assert sum(each.stored for each in done) == 600
        assert await texts(one) == [f"m{n:03}" for n in range(600)]


async def test_the_daemon_stores_what_waits_by_itself(
    link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "LOOK_EVERY_S", 0.01)
    await link.cut()
    async with link.open() as app:
        kept = await app.writes.store(NewMemory(content="x"))
        draining = asyncio.create_task(background.drain_spool(app))
        link.restore()
        while link.spool.total():  # noqa: ASYNC110 - files tell nobody
            await asyncio.sleep(0.01)
        draining.cancel()
        assert (await app.memories.get(kept.id)).content == "x"


async def test_what_many_writers_were_told_is_kept_is_there_once_whenever_it_went_away(
    link: Link,
) -> None:
    """Twelve writers, and a server that goes away and comes back as they go on: it takes seconds."""
    kept: dict[str, UUID] = {}
    told = asyncio.Condition()

    async def write(app: App, name: str) -> None:
        for number in range(40):
            text = f"{name} {number}"
            answer = await app.writes.store(NewMemory(content=text))
            async with told:
                kept[text] = answer.id
                told.notify_all()

    async with link.open() as app, asyncio.TaskGroup() as writers:
        for number in range(12):
            writers.create_task(write(app, f"w{number}"))
        for turning in range(50, 450, 100):
            async with told:
                await told.wait_for(lambda least=turning: len(kept) >= least)  # type: ignore[misc]
            await link.cut()
            async with told:
                await told.wait_for(lambda least=turning + 50: len(kept) >= least)  # type: ignore[misc]
            link.restore()
    async with link.open() as app:
        await app.writes.drain()
        assert link.spool.total() == 0
        found = await app.memories.list_memories(MemoryFilter(), limit=1000)
        assert sorted(each.content for each in found) == sorted(kept)
        for text, identifier in kept.items():
            assert (await app.memories.get(identifier)).content == text


async def test_large_ones_are_stored_a_few_at_a_time(link: Link) -> None:
    async with link.open() as app:
        put(link, app, *(NewMemory(content=f"{n} " + "word " * 100_000) for n in range(3)))
        assert len(link.spool.read(app.writes.database, limit=512)) == 2
        assert await app.writes.drain() == Drained(stored=3)


async def test_a_damaged_spool_stops_nobody_and_is_put_aside(link: Link) -> None:
    async with link.open() as app:
        link.spool.path.parent.mkdir(parents=True, exist_ok=True)
        link.spool.path.write_bytes(b"no database" * 500)
        assert (await app.writes.store(NewMemory(content="x"))).waits is None
        await link.cut()
        assert (await app.writes.store(NewMemory(content="y"))).waits
        [aside] = link.spool.list_damaged()
        assert aside.read_bytes() == b"no database" * 500 and link.spool.total() == 1
        link.restore()
        await app.writes.drain()
        assert await texts(app) == ["x", "y"]


async def test_where_neither_takes_it_nothing_is_acknowledged(link: Link) -> None:
    await link.cut()
    async with link.open() as app:
        link.spool.path.mkdir(parents=True)
        with pytest.raises(Unavailable) as caught:
            await app.writes.store(NewMemory(content="x"))
        assert caught.value.code == "database.unreachable"
        for part in ("cannot be reached", "Nor can the write wait", str(link.spool.path)):
            assert part in caught.value.message


async def test_what_is_wrong_with_a_write_is_told_at_once(link: Link) -> None:
    await link.cut()
    nan = BroughtVector(model="m", values=[0.5, float("nan")])
    identifier = new_id()
    async with link.open() as app:
        for new in (NewMemory(content=""), NewMemory(content="x", vector=nan)):
            with pytest.raises(UsageError):
                await app.writes.store(new)
        with pytest.raises(UsageError):
            await app.writes.record_turn(turn("x", position=-1))
        with pytest.raises(UsageError):
            await app.writes.record_execution(execution(status="x"))
        with pytest.raises(UsageError):
            await app.writes.store_batch([NewMemory(content="x"), NewMemory(content="")])
        await app.writes.store(NewMemory(content="a", id=identifier))
        with pytest.raises(Conflict):
            await app.writes.store_batch(
                [NewMemory(content="new"), NewMemory(content="b", id=identifier)]
            )
        assert link.spool.total() == 1, "of a batch all waits or nothing"


async def test_an_end_between_two_batches_loses_none(
    link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drain, "BATCH_SIZE", 40)
    async with link.open() as app:
        put(link, app, *(NewMemory(content=f"m{n:02}") for n in range(90)))
        store, batches = app.memories.store_batch, 0

        async def break_off(*arguments: object, **options: object) -> object:
            nonlocal batches
            stored = await store(*arguments, **options)  # type: ignore[arg-type]
            batches += 1
            if batches == 2:
                raise Unavailable("It broke off.", code="database.unreachable")
            return stored

        monkeypatch.setattr(app.memories, "store_batch", break_off)
        with pytest.raises(Unavailable):
            await app.writes.drain()
        assert link.spool.total() == 50
        assert await app.writes.drain() == Drained(stored=50)
        assert await texts(app) == [f"m{n:02}" for n in range(90)]
