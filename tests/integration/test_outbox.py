"""The outbox on a real PostgreSQL: nothing is missed, nothing comes out of order, and failures are visible."""

import asyncio
import os
import resource
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest

from mahavishnu.base.errors import NotFound
from mahavishnu.database.target import Target
from mahavishnu.memory.models import NewMemory
from mahavishnu.memory.outbox import outbox as module
from mahavishnu.memory.outbox.mirror import JsonlMirror
from mahavishnu.memory.outbox.outbox import MAX_ATTEMPTS, Outbox
from mahavishnu.memory.outbox.port import DeliveryRefusal, SyncTarget
from mahavishnu.memory.outbox.runs import KeptRuns
from tests.conftest import OpenWorld, World
from tests.support.fakes import FakeTarget
from tests.support.mirrored import catch_up, read_mirror

pytestmark = pytest.mark.postgres
REFUSAL = DeliveryRefusal(0, "It is too odd.", "fake.odd")
INSERT = (
    "INSERT INTO memories (id, scope_no, collection, source_system, content, content_hash) "
    "SELECT gen_random_uuid(), scope_no, 'note', 'x', $1, sha256($1::text::bytea) FROM scopes LIMIT 1"
)


def outbox_of(world: World, *targets: SyncTarget) -> Outbox:
    return Outbox(world.database, world.memories, targets)


async def store(world: World, *texts: str) -> list[UUID]:
    return [(await world.memories.store(NewMemory(content=text))).id for text in texts]


async def changes_of(world: World) -> list[int]:
    rows = await world.database.run(
        lambda c: c.fetch("SELECT change_no FROM changes ORDER BY change_no")
    )
    return [row["change_no"] for row in rows]


def contents(target: FakeTarget) -> list[str | None]:
    return [each.memory and each.memory.content for each in target.held]


async def test_a_mirror_has_what_happened_and_how_each_memory_is_now(
    world: World, tmp_path: Path
) -> None:
    outbox = outbox_of(world, JsonlMirror(tmp_path / "mirror.jsonl"))
    [before] = await store(world, "Before the mirror.")
    await catch_up(outbox)
    new = await world.memories.supersede(before, "After it.")
    [gone] = await store(world, "Nothing.")
    await world.memories.forget([gone])
    await catch_up(outbox)
    lines = read_mirror(tmp_path / "mirror.jsonl")
    assert [(line["kind"], line["id"]) for line in lines] == [
        ("stored", str(before)), ("stored", str(new.id)), ("superseded", str(before)),
        ("stored", str(gone)), ("forgotten", str(gone)),
    ]  # fmt: skip
    assert [line.get("memory", {}).get("content") for line in lines] == [
        "Before the mirror.", "After it.", "Before the mirror.", None, None,
    ]  # fmt: skip
    assert lines[2]["memory"]["superseded_by"] == str(new.id)


async def test_the_feed_is_read_only_once_a_transaction_has_ended(world: World) -> None:
    target, asked = FakeTarget(), []
    outbox = outbox_of(world, target)
    await store(world, "First.")
    await catch_up(outbox)
    run = world.database.run
    async with world.database.connection() as connection:
        with connection.query_logger(lambda record: asked.append(record.query)):
            world.database.run = lambda work: work(connection)  # type: ignore[assignment,misc]
            for _ in range(2):
                asked.clear()
                await outbox.run()
    world.database.run = run  # type: ignore[method-assign]
    assert not [each for each in asked if "FROM changes" in each]
    await store(world, "Second.")
    await outbox.run()
    assert contents(target) == ["First.", "Second."]


async def test_pages_of_any_size_give_the_same(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    targets = [FakeTarget(str(size)) for size in (1, 3, 7, 200)]
    await store(world, *(f"{number}" for number in range(7)))
    for target in targets:
        monkeypatch.setattr(module, "BATCH", int(target.name))
        await catch_up(outbox_of(world, target))
    numbers = await changes_of(world)
    assert [[each.number for each in target.held] for target in targets] == [numbers] * len(targets)


async def test_a_target_gets_the_collections_it_wants_and_passes_over_the_others_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH", 2)
    fake = FakeTarget()
    fake.collections = ["insight"]
    outbox = outbox_of(world, fake)
    for number in range(5):
        await world.memories.store(NewMemory(content=f"{number}"))
        if number % 2 == 0:
            await world.memories.store(NewMemory(content=f"{number}!", collection="insight"))
    await store(world, "last")
    await catch_up(outbox)
    await store(world, "and one more")
    assert [each.pending for each in await outbox.status()] == [0]  # of what it takes
    both = outbox_of(world, FakeTarget("all"), fake)
    while next(each.pending for each in await both.status() if each.name == "all"):
        await both.run()  # others' transactions may be open for a moment
    assert contents(fake) == ["0!", "2!", "4!"]
    state = next(each for each in await outbox.status() if each.name == fake.name)
    assert (state.pending, state.delivered) == (0, 3)
    ahead = """
        SELECT count(*) FROM changes c, outbox_targets t
        WHERE t.name = 'fake' AND c.xid >= t.from_xid AND (c.xid >= t.to_xid OR c.change_no > t.after_no)
    """
    assert await world.database.run(lambda c: c.fetchval(ahead)) == 0
    written = "SELECT xmin::text FROM outbox_targets WHERE name = 'fake'"
    before = await world.database.run(lambda c: c.fetchval(written))
    await outbox.run()
    assert await world.database.run(lambda c: c.fetchval(written)) == before


async def test_a_transaction_that_commits_late_is_not_skipped(world: World, target: Target) -> None:
    """It has a lower number than what is committed before it."""
    fake = FakeTarget()
    outbox = outbox_of(world, fake)
    await store(world, "first")
    await catch_up(outbox)
    slow = await asyncpg.connect(**target.direct)
    transaction = slow.transaction()
    await transaction.start()
    await slow.execute(INSERT, "late")
    await store(world, "early")
    [ran] = await outbox.run()
    [state] = await outbox.status()
    assert (ran.ending, ran.delivered) == ("done", 0) and state.pending == state.held_back == 1
    await transaction.commit()
    await slow.close()
    await catch_up(outbox)
    assert contents(fake) == ["first", "late", "early"]
    assert [each.number for each in fake.held] == await changes_of(world)


async def test_the_changes_of_a_memory_keep_their_order_whichever_transaction_began_first(
    world: World, target: Target
) -> None:
    fake = FakeTarget()
    await store(world, "first")
    older = await asyncpg.connect(**target.direct)
    transaction = older.transaction()
    await transaction.start()
    await older.execute("SELECT pg_current_xact_id()")
    [identifier] = await store(world, "by the newer one")
    await older.execute("DELETE FROM memories WHERE id = $1", identifier)
    await transaction.commit()
    await older.close()
    await catch_up(outbox_of(world, fake))
    kinds = [each.kind for each in fake.held if each.memory_id == identifier]
    assert kinds == ["stored", "forgotten"] and fake.held[-1].xid < fake.held[-2].xid


async def test_what_colleagues_share_is_theirs_to_deliver(
    open_world: OpenWorld, bob: Target
) -> None:
    async with open_world() as alice, open_world(at=bob) as other:
        await alice.memories.store(NewMemory(content="alice's", visibility="shared"))
        [own] = await store(other, "bob's")
        fake = FakeTarget()
        theirs = outbox_of(other, fake)
        await catch_up(theirs)
        assert contents(fake) == ["bob's"]
        fake.refuses[own] = DeliveryRefusal(0, "No.", "fake.no", final=True)
        await other.memories.forget([own])
        await catch_up(theirs)
        assert await theirs.count_dead() == 1
        assert await outbox_of(alice).count_dead() == 0 and not await outbox_of(alice).status()


async def test_a_target_that_is_away_keeps_its_place_and_is_tried_again(world: World) -> None:
    fake = FakeTarget()
    outbox = outbox_of(world, fake)
    await store(world, "one")
    fake.away = True
    for _ in range(MAX_ATTEMPTS + 2):
        [ran] = await outbox.run(force=True)
        assert (ran.ending, ran.error_code) == ("failed", "fake.away")
    [state] = await outbox.status()
    assert state.attempts == MAX_ATTEMPTS + 2 and state.error_code == "fake.away"
    assert state.pending == 1 and state.next_at and not await outbox.list_dead()
    await postpone(world, "1 minute")
    assert (await outbox.run())[0].ending == "waiting"
    fake.away = False
    # Further away than any delay: the clock was set back.
    await postpone(world, "1 day")
    while not fake.held:
        assert (await outbox.run())[0].ending == "done"
    [state] = await outbox.status()
    assert state.attempts == 0 and state.error is None and state.delivered == 1


async def postpone(world: World, interval: str) -> None:
    statement = f"UPDATE outbox_targets SET next_at = clock_timestamp() + interval '{interval}'"
    await world.database.run(lambda c: c.execute(statement))


async def test_a_refused_change_holds_up_the_others_until_it_is_a_dead_letter(world: World) -> None:
    fake = FakeTarget()
    outbox = outbox_of(world, fake)
    _, odd, three = await store(world, "one", "odd", "three")
    fake.refuses[odd] = REFUSAL
    await settle(outbox, MAX_ATTEMPTS - 1)
    assert contents(fake) == ["one"] and not await outbox.list_dead()
    fake.away = True
    await settle(outbox, 3)  # which says nothing against the change
    fake.away = False
    await catch_up(outbox)
    assert contents(fake) == ["one", "three"]
    [letter] = await outbox.list_dead()
    assert (letter.memory_id, letter.attempts, letter.error_code) == (odd, MAX_ATTEMPTS, "fake.odd")

    assert [ran.dead for ran in await outbox.retry()] == [1]
    with pytest.raises(NotFound):
        await outbox.retry([str(three)])
    fake.refuses.clear()
    assert [ran.delivered for ran in await outbox.retry([str(odd)[-8:]])] == [1]
    assert contents(fake) == ["one", "three", "odd"] and not await outbox.list_dead()


async def settle(outbox: Outbox, failures: int) -> None:
    """Run until a target failed so often; before, other tests' transactions may hold the feed up."""
    while failures:
        [ran] = await outbox.run(force=True)
        failures -= ran.ending == "failed"


async def test_what_is_refused_for_good_is_dead_at_once_and_a_later_state_ends_it(
    world: World,
) -> None:
    fake = FakeTarget()
    outbox = outbox_of(world, fake)
    odd, worse, _ = await store(world, "odd", "worse", "fine")
    fake.refuses |= dict.fromkeys(
        [odd, worse], DeliveryRefusal(0, "Never.", "fake.never", final=True)
    )
    await catch_up(outbox)
    assert contents(fake) == ["fine"] and await outbox.count_dead() == 2
    fake.refuses.clear()
    await world.memories.forget([odd])
    await catch_up(outbox)
    assert [letter.memory_id for letter in await outbox.list_dead()] == [worse]
    assert len(await outbox.drop("fake", [str(worse)], dry_run=True)) == 1
    assert await outbox.count_dead() == 1
    await outbox.drop("fake", [str(worse)])
    assert await outbox.count_dead() == 0
    fake.held.clear()
    await outbox.drop("fake")
    await catch_up(outbox)
    assert [each.number for each in fake.held] == await changes_of(world)
    with pytest.raises(NotFound):
        await outbox.drop("nobody")


async def test_of_several_deliverers_one_has_a_target(world: World) -> None:
    fake = FakeTarget()
    await store(world, *(f"{number}" for number in range(12)))
    ran = await asyncio.gather(*(outbox_of(world, fake).run(force=True) for _ in range(3)))
    await catch_up(outbox_of(world, fake))
    assert {each.ending for [each] in ran} <= {"done", "busy"}
    assert [each.number for each in fake.held] == await changes_of(world)
    [state] = await outbox_of(world, fake).status()
    assert state.delivered == 12, "none was delivered twice"


async def test_a_restored_database_is_read_from_the_beginning(world: World) -> None:
    """There the changes are of transactions that the new server has not reached."""
    fake = FakeTarget()
    outbox = outbox_of(world, fake)
    await store(world, "one", "two")
    await catch_up(outbox)
    await world.database.run(
        lambda c: c.execute(
            "UPDATE changes SET xid = '900000000000'; UPDATE outbox_targets SET server = 'other/1',"
            " from_xid = '900000000001', to_xid = '900000000001'"
        )
    )
    await store(world, "three")
    await catch_up(outbox)
    assert contents(fake)[2:] == ["one", "two", "three"] or contents(fake)[2:] == [
        "three",
        "one",
        "two",
    ]


async def test_a_file_of_something_else_is_left_alone(world: World, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("Mine.\n")
    await store(world, "one")
    [ran] = await outbox_of(world, JsonlMirror(path)).run(force=True)
    assert ran.error_code == "sync.not_a_mirror" and path.read_text() == "Mine.\n"


async def test_a_full_disk_keeps_the_place(world: World, tmp_path: Path) -> None:
    path = tmp_path / "mirror.jsonl"
    outbox = outbox_of(world, JsonlMirror(path))
    await store(world, "one")
    await catch_up(outbox)
    size = path.stat().st_size
    await store(world, "x" * 5_000)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, before[1]))
    try:
        await settle(outbox, 1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    [state] = await outbox.status()
    assert state.error_code == "sync.mirror_not_writable" and path.stat().st_size == size
    await catch_up(outbox)
    assert [line["change"] for line in read_mirror(path)] == await changes_of(world)


# A page of three is a write, a sync and a note; 20 memories have at least 20 of these, so each process is killed.
SEEDS = (1, 4, 7, 9, 13, 17)


async def test_a_deliverer_may_be_killed_at_any_moment(
    world: World, target: Target, tmp_path: Path
) -> None:
    """
    Takes seconds: each seed is a process that is killed at its n-th act, as half of a line is written.

    The row of its run says so afterwards.
    """
    path = tmp_path / "mirror.jsonl"
    outbox = outbox_of(world, JsonlMirror(path))
    runs = KeptRuns(world.database, outbox)
    for seed in SEEDS:
        await store(world, *(f"{seed} {number} {'y' * 100 * number}" for number in range(20)))
        assert await deliver_and_die(target.url, path, seed) == -signal.SIGKILL
        # The server notices in a moment that it is gone.
        while (await runs.find())[0].ending == "running":  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await catch_up(outbox)
    assert [run.ending for run in await runs.find()].count("interrupted") == len(SEEDS)
    assert [line["change"] for line in read_mirror(path)] == await changes_of(world)


async def deliver_and_die(dsn: str, path: Path, seed: int) -> int | None:
    words: Sequence[str] = ("-m", "tests.support.outbox_killed", dsn, str(path), str(seed))
    process = await asyncio.create_subprocess_exec(
        sys.executable, *words, cwd=Path(__file__).parents[2],
        env={**os.environ, "COVERAGE_PROCESS_CONFIG": ""},
    )  # fmt: skip
    return await process.wait()
