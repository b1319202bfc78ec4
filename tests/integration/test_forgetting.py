"""What was forgotten is on no path, can be restored for a time, and is then gone from the database."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from mahavishnu.base.errors import Conflict, NotFound
from mahavishnu.base.identifiers import new_id
from mahavishnu.database.target import Target
from mahavishnu.memory.conversations import NewTurn
from mahavishnu.memory.forgetting import ForgettingRules
from mahavishnu.memory.models import BroughtVector, Memory, MemoryFilter, NewMemory, utc_now
from mahavishnu.memory.records import NewExecution
from mahavishnu.memory.search import SearchRequest
from tests.conftest import OpenWorld, World

pytestmark = pytest.mark.postgres
RUN = NewExecution(
    execution_id="e", workflow_id="w", adapter="tests", status="failed", started_at=utc_now(),
    finished_at=utc_now(), error="An osprey in the engine", result={"bird": "osprey"},
)  # fmt: skip
TURN = NewTurn(session_id="s", position=0, role="user", content="Feed the osprey.", speaker="Ana")


async def found(world: World, query: str) -> list[UUID]:
    result = await world.retriever.search(SearchRequest(query=query))
    return [hit.memory.id for hit in result.hits]


async def run(world: World, statement: str, *values: object) -> object:
    return await world.database.run(lambda c: c.fetchval(statement, *values))


async def tables_with(world: World, text: str) -> dict[str, int]:
    """Count the rows of each table that hold a text, in whatever column."""
    names = await world.database.run(
        lambda c: c.fetch(
            "SELECT oid::regclass::text AS name FROM pg_class "
            "WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
        )
    )
    statement = "SELECT count(*) FROM {} t WHERE t::text ILIKE '%' || $1 || '%'"
    counts = {name: await run(world, statement.format(name), text) for (name,) in names}
    return {name: count for name, count in counts.items() if count}  # type: ignore[misc]


async def turn_clock(world: World, days: int) -> None:
    """Let what was forgotten have been so some days earlier, or later for the clock that was set back."""
    await run(
        world,
        "UPDATE forgotten_memories SET forgotten_at = forgotten_at - $1::interval, "
        "restorable_until = restorable_until - $1::interval",
        timedelta(days=days),
    )


async def as_read(world: World, ids: list[UUID]) -> list[Memory]:
    return [await world.memories.get(each) for each in ids]


async def test_what_is_forgotten_is_on_no_path_and_comes_back_as_it_was(world: World) -> None:
    old = await world.memories.store(
        NewMemory(content="The osprey nests.", project="birds", metadata={"n": [1]}, agent_id="a")
    )
    new = await world.memories.supersede(old.id, "The osprey nests high.")
    before = await as_read(world, [old.id, new.id])
    assert set(await world.memories.forget([new.id])) == {old.id, new.id}
    assert await found(world, "osprey") == []
    assert await world.memories.list_memories(MemoryFilter()) == []
    assert {*await tables_with(world, "osprey")} == {"forgotten_memories"}
    for each in (old.id, new.id):
        with pytest.raises(NotFound):
            await world.memories.get(each)
    [tombstone], _ = await world.memories.forgetting.list_tombstones()
    assert (tombstone.id, tombstone.project) == (new.id, "birds")
    assert tombstone.restorable_until - tombstone.forgotten_at == timedelta(days=7)
    assert set(await world.memories.forgetting.restore([new.id])) == {old.id, new.id}
    assert await as_read(world, [old.id, new.id]) == before
    assert await found(world, "osprey") == [new.id] and not await world.memories.count_waiting()
    assert await world.memories.forgetting.list_tombstones() == ([], 0)
    assert await world.memories.forgetting.restore([new.id]) == []


async def test_a_version_brings_its_whole_memory_back(world: World) -> None:
    old = await world.memories.store(NewMemory(content="One osprey."))
    new = await world.memories.supersede(old.id, "Two ospreys.")
    await world.memories.forget([new.id])
    assert set(await world.memories.forgetting.restore([old.id])) == {old.id, new.id}
    assert await found(world, "osprey") == [new.id]


async def test_other_ids_of_a_memory_come_back_and_lead_to_it_meanwhile(world: World) -> None:
    stored = await world.memories.store(NewMemory(content="The osprey."))
    other = new_id()  # that was given out while the database was away
    await run(world, "INSERT INTO aliases (id, memory_id) VALUES ($1, $2)", other, stored.id)
    await world.memories.forget([stored.id])
    for reference in (str(other), other.hex[-8:]):
        assert await world.memories.forgetting.resolve(reference) == stored.id
    await world.memories.forgetting.restore([stored.id])
    assert await world.memories.resolve(str(other)) == stored.id
    await world.memories.forget([stored.id], purge=True)
    assert {*await tables_with(world, str(other))} == set()


async def test_brought_vectors_come_back(open_world: OpenWorld) -> None:
    vector = BroughtVector(model="mine", values=[0.6, 0.8], dimensions=2)
    async with open_world(without_embedder=True) as world:
        stored = await world.memories.store(NewMemory(content="The osprey.", vector=vector))
        await world.memories.forget([stored.id])
        await world.memories.forgetting.restore([stored.id])
        near = SearchRequest(query="bird", mode="vector", vector=vector)
        [hit] = (await world.retriever.search(near)).hits
        assert hit.memory.id == stored.id and hit.arms["vector"].score > 0.999


async def test_turns_and_runs_go_and_come_back(world: World) -> None:
    [turn] = await world.conversations.record([TURN])
    await world.records.record_execution(RUN)
    [known] = await world.records.list_executions()
    assert known.memory_id is not None
    said = await world.conversations.read("s")
    await world.memories.forget([turn.id, known.memory_id])
    assert await world.conversations.read("s") == []
    [run_of_now] = await world.records.list_executions()
    assert run_of_now.status == "failed" and run_of_now.error is run_of_now.result is None
    assert {*await tables_with(world, "osprey")} == {"forgotten_memories"}
    await world.memories.forgetting.restore([turn.id, known.memory_id])
    assert await world.conversations.read("s") == said
    assert await world.records.list_executions() == [known]


@pytest.mark.parametrize("text", [TURN.content, "Feed the other bird."])
async def test_a_turn_recorded_again_meanwhile_stays(world: World, text: str) -> None:
    [first] = await world.conversations.record([TURN])
    await world.memories.forget([first.id])
    [second] = await world.conversations.record([replace(TURN, content=text)])
    with pytest.raises(Conflict) as caught:
        await world.memories.forgetting.restore([first.id])
    assert caught.value.code == "memory.replaced" and caught.value.hint
    assert (await world.conversations.read("s"))[0].memory_id == second.id


@pytest.mark.parametrize("change", [{}, {"id": True, "content": "Another text."}])
async def test_what_was_stored_in_its_place_is_named(
    world: World, change: dict[str, object]
) -> None:
    first = await world.memories.store(NewMemory(content="The osprey nests."))
    await world.memories.forget([first.id])
    values = {"content": "The osprey nests."} | change | ({"id": first.id} if change else {})
    second = await world.memories.store(NewMemory(**values))  # type: ignore[arg-type]
    assert second.created
    with pytest.raises(Conflict) as caught:
        await world.memories.forgetting.restore([first.id])
    assert caught.value.code == "memory.replaced" and second.id.hex[-8:] in caught.value.message
    await world.memories.forget([second.id], purge=bool(change))
    if not change:
        assert await world.memories.forgetting.restore([first.id]) == [first.id]
        assert await found(world, "osprey") == [first.id]


async def test_all_that_was_forgotten_since_comes_back_but_what_was_replaced(
    world: World,
) -> None:
    news = [NewMemory(content=f"Osprey {n}.") for n in range(4)]
    ids = [each.id for each in await world.memories.store_batch(news)]
    await world.memories.forget(ids[:1])
    await turn_clock(world, 1)
    await world.memories.forget(ids[1:])
    again = await world.memories.store(news[2])
    an_hour_ago = utc_now() - timedelta(hours=1)
    listed, total = await world.memories.forgetting.list_tombstones(since=an_hour_ago, limit=2)
    assert {each.id for each in listed} < {*ids[1:]} and total == 3
    back, replaced = await world.memories.forgetting.restore_since(an_hour_ago)
    assert ({*back}, replaced) == ({ids[1], ids[3]}, [ids[2]])
    assert {*await found(world, "osprey")} == {ids[1], ids[3], again.id}


async def test_after_its_time_it_is_gone_from_every_table(world: World) -> None:
    stored = await world.memories.store(NewMemory(content="The osprey nests."))
    await world.memories.forget([stored.id])
    await turn_clock(world, 7)
    with pytest.raises(NotFound) as caught:
        await world.memories.forgetting.resolve(str(stored.id))
    assert caught.value.code == "memory.not_forgotten"
    await found(world, "something else")  # whoever comes deletes it
    assert await tables_with(world, "osprey") == {}
    with pytest.raises(NotFound):
        await world.memories.forgetting.restore([stored.id])


async def test_a_clock_set_back_deletes_nothing_early(world: World) -> None:
    stored = await world.memories.store(NewMemory(content="The osprey nests."))
    await world.memories.forget([stored.id])
    await turn_clock(world, -30)
    await world.memories.forgetting.purge_expired()
    [kept], _ = await world.memories.forgetting.list_tombstones()
    assert kept.id == stored.id
    assert await world.memories.forgetting.restore([stored.id]) == [stored.id]


async def test_a_purge_leaves_no_trace(world: World) -> None:
    [turn] = await world.conversations.record([TURN])
    await world.records.record_execution(RUN)
    [known] = await world.records.list_executions()
    earlier = await world.memories.store(NewMemory(content="The osprey's key."))
    await world.memories.forget([earlier.id])
    again = await world.memories.store(NewMemory(content="The osprey's key."))
    assert known.memory_id is not None
    ids = [turn.id, known.memory_id, again.id]
    would = await world.memories.forget(ids, dry_run=True, purge=True)
    assert set(would) == {*ids, earlier.id} and await tables_with(world, "osprey")
    assert await world.memories.forget(ids, purge=True) == would
    assert await tables_with(world, "osprey") == {}
    left = "SELECT (SELECT count(*) FROM embeddings_1) + (SELECT count(*) FROM forgotten_vectors)"
    assert await run(world, left) == 0


async def test_a_purge_reaches_what_was_forgotten_before(world: World) -> None:
    old = await world.memories.store(NewMemory(content="The osprey nests."))
    new = await world.memories.supersede(old.id, "The osprey nests high.")
    await world.memories.forget([new.id])
    assert set(await world.memories.forget([new.id], purge=True)) == {new.id, old.id}
    assert await tables_with(world, "osprey") == {}


async def test_what_expires_while_it_is_forgotten_comes_back_to_stay(world: World) -> None:
    stored = await world.memories.store(
        NewMemory(content="The osprey nests.", expires_at=utc_now() + timedelta(hours=1))
    )
    await world.memories.forget([stored.id])
    await run(world, "UPDATE forgotten_memories SET expires_at = now() - interval '1 hour'")
    await world.memories.forgetting.restore([stored.id])
    assert await found(world, "osprey") == [stored.id]


async def test_nobody_else_sees_or_restores_what_was_forgotten(
    open_world: OpenWorld, bob: Target
) -> None:
    async with open_world() as alice, open_world(at=bob) as other:
        for visibility in ("private", "shared"):
            text = f"The {visibility} osprey nests."
            stored = await alice.memories.store(NewMemory(content=text, visibility=visibility))  # type: ignore[arg-type]
            assert await other.memories.forget([stored.id], purge=True) == []
            await alice.memories.forget([stored.id])
            assert await tables_with(other, "osprey") == {}
            assert await other.memories.forgetting.list_tombstones() == ([], 0)
            assert await other.memories.forget([stored.id], purge=True) == []
            for reference in (str(stored.id), stored.id.hex[-8:]):
                with pytest.raises(NotFound):
                    await other.memories.forgetting.resolve(reference)
            with pytest.raises(NotFound):
                await other.memories.forgetting.restore([stored.id])
        await turn_clock(alice, 7)
        await other.memories.forgetting.purge_expired()
        count = "SELECT count(*) FROM forgotten_memories"
        assert await run(alice, count) == 2 and await run(other, count) == 0


async def test_retention_counts_from_the_last_storing_and_can_be_taken_back(
    world: World,
) -> None:
    world.memories.forgetting.rules = ForgettingRules(retention={"agent": timedelta(days=90)})
    news = [
        NewMemory(content=f"Osprey {n}.", occurred_at=utc_now() - timedelta(days=900))
        for n in range(3)
    ]
    young, old, corrected = [each.id for each in await world.memories.store_batch(news)]
    document = await world.memories.store(NewMemory(content="Osprey.", collection="document"))
    await run(
        world,
        "UPDATE memories SET stored_at = now() - interval '91 days' WHERE id = ANY ($1::uuid[])",
        [old, corrected, document.id],
    )
    await world.memories.supersede(corrected, "A corrected osprey.")
    assert await world.memories.forgetting.count_old() == {"agent": 1}
    assert await world.memories.forgetting.prune() == 1
    assert {young, document.id} < {*await found(world, "osprey")} and old not in await found(
        world, "osprey"
    )
    world.memories.forgetting.rules = ForgettingRules(retention={"rag": timedelta(days=91)})
    assert await world.memories.forgetting.restore([old]) == [old]
    assert await world.memories.forgetting.count_old() == {"rag": 1}


@pytest.mark.parametrize("same", [True, False])
async def test_two_at_the_same_moment_leave_one(open_world: OpenWorld, same: bool) -> None:
    """Restored twice, or restored while the same text is stored."""
    async with open_world() as one, open_world() as other:
        new = NewMemory(content="The osprey nests.")
        stored = await one.memories.store(new)
        await one.memories.forget([stored.id])
        rival = (
            other.memories.forgetting.restore([stored.id]) if same else other.memories.store(new)
        )
        outcomes = await asyncio.gather(
            one.memories.forgetting.restore([stored.id]), rival, return_exceptions=True
        )
        assert not [each for each in outcomes if isinstance(each, BaseException)
                    and getattr(each, "code", None) != "memory.replaced"]  # fmt: skip
        assert len(await one.memories.list_memories(MemoryFilter())) == 1
