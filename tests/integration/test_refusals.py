"""What is refused leaves nothing behind; what a store does not keep is told; lists do for tuples."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mahavishnu.base.errors import Conflict, Forbidden, MahavishnuError, UsageError
from mahavishnu.base.identifiers import new_id
from mahavishnu.database.target import Target
from mahavishnu.memory.models import BroughtVector, MemoryFilter, NewMemory
from mahavishnu.memory.records import Metric, NewExecution
from mahavishnu.memory.search import SearchRequest
from tests.conftest import OpenWorld, World

pytestmark = pytest.mark.postgres
SHOP = MemoryFilter(projects=("shop",))
STARTED = datetime(2025, 5, 1, 9, tzinfo=UTC)


async def made(world: World) -> tuple[int, int]:
    """Return how many projects and scopes there are."""
    async with world.database.connection() as connection:
        row = await connection.fetchrow(
            "SELECT (SELECT count(*) FROM projects), (SELECT count(*) FROM scopes)"
        )
        return tuple(row)


async def test_a_refused_correction_hides_nothing(open_world: OpenWorld, bob: Target) -> None:
    async with open_world() as alice, open_world(at=bob) as other:
        new = NewMemory(content="The shop opens at nine.", project="shop", visibility="shared")
        stored = await alice.memories.store(new)
        before = await made(other)
        with pytest.raises(Forbidden) as caught:
            await other.memories.supersede(stored.id, "The shop opens at ten.")
        assert caught.value.code == "memory.not_own" and caught.value.hint
        assert await made(other) == before
    async with open_world(at=bob) as other:
        found = await other.retriever.search(SearchRequest(query="shop opens", wanted=SHOP))
        assert [hit.memory.id for hit in found.hits] == [stored.id]


@pytest.mark.parametrize(
    "vector",
    [
        BroughtVector(model="nope", values=[1.0, 2.0]),
        BroughtVector(model="fake", values=[1.0, 2.0], dimensions=3),
        BroughtVector(model="fake", values=[0.0] * 64, dimensions=64),
    ],
    ids=["no model yet", "another length", "no direction"],
)
async def test_a_refused_vector_makes_no_project(world: World, vector: BroughtVector) -> None:
    before = await made(world)
    with pytest.raises(MahavishnuError):
        await world.memories.store(NewMemory(content="x", project="halfway", vector=vector))
    assert await made(world) == before


async def test_a_taken_id_makes_no_project(world: World) -> None:
    taken = (await world.memories.store(NewMemory(content="First."))).id
    new = NewMemory(content="First.", project="halfway", id=taken)
    before = await made(world)
    twice = replace(new, id=new_id())
    for batch in ([new], [twice, replace(twice, content="Second.")]):
        with pytest.raises(Conflict) as caught:
            await world.memories.store_batch(batch)
        assert caught.value.code == "memory.id_taken"
    assert await made(world) == before
    again = await world.memories.store(NewMemory(content="First.", id=taken))
    assert again.id == taken and not again.created


@pytest.mark.parametrize(
    "changes",
    [
        {"error": 5}, {"repositories": (1,)}, {"repositories": "abc"}, {"repositories": None},
        {"workflow_id": None}, {"started_at": None}, {"error": "\x00"}, {"status": ["failed"]},
    ],
    ids=str,
)  # fmt: skip
async def test_a_refused_execution_makes_no_project(world: World, changes: dict[str, Any]) -> None:
    run = NewExecution(
        execution_id="r", workflow_id="w", adapter="a", status="running", started_at=STARTED,
        project="halfway",
    )  # fmt: skip
    before = await made(world)
    with pytest.raises(UsageError) as caught:
        await world.records.record_execution(replace(run, **changes))
    assert caught.value.hint and await made(world) == before


@pytest.mark.parametrize(
    "value", [None, "much", 10**400, True], ids=["None", "text", "huge", "a flag"]
)
async def test_a_refused_measurement_makes_no_project(world: World, value: Any) -> None:
    before = await made(world)
    with pytest.raises(UsageError) as caught:
        metric = Metric(source="s", name="n", value=value, unit="1")
        await world.records.record_metric(metric, project="halfway")
    assert caught.value.hint and await made(world) == before


async def test_lists_do_for_tuples_everywhere(world: World) -> None:
    stored = await world.memories.store(NewMemory(content="alpha", project="shop"))
    for lists in ({"projects": ["shop"]}, {"memory_types": ["agent"]}, {"collections": ["note"]}):
        wanted = MemoryFilter(**lists)  # type: ignore[arg-type]
        for _ in range(2):  # the second search remembers the first one's selection
            found = await world.retriever.search(SearchRequest(query="alpha", wanted=wanted))
            assert [hit.memory.id for hit in found.hits] == [stored.id]
        assert [m.id for m in await world.memories.list_memories(wanted)] == [stored.id]
        assert await world.memories.select_ids(wanted) == [stored.id]


async def test_an_expired_memory_is_not_in_the_way_of_a_correction(world: World) -> None:
    gone = await world.memories.store(NewMemory(content="Text B."))
    old = await world.memories.store(NewMemory(content="Text A."))
    await world.expire([gone])
    successor = await world.memories.supersede(old.id, "Text B.")
    assert successor.created
    assert (await world.memories.get(old.id)).superseded_by == successor.id


async def test_an_expired_memory_cannot_be_corrected(world: World) -> None:
    gone = await world.memories.store(NewMemory(content="Text C."))
    await world.expire([gone])
    with pytest.raises(Conflict) as caught:
        await world.memories.supersede(gone.id, "Text D.")
    assert caught.value.code == "memory.expired" and caught.value.hint


async def test_what_a_duplicate_says_otherwise_is_named(world: World) -> None:
    until = datetime.now(UTC) + timedelta(days=1)
    new = NewMemory(content="The same.", metadata={"k": ["a"]}, agent_id="one", occurred_at=STARTED)
    assert (await world.memories.store(new)).not_kept == ()
    for changes, unkept in (
        ({}, ()),
        ({"metadata": {"k": ("a",)}}, ()),
        ({"metadata": {}, "agent_id": None, "occurred_at": None}, ()),
        ({"metadata": {"k": ["b"]}}, ("metadata",)),
        ({"agent_id": "two", "occurred_at": until, "expires_at": until},
         ("agent_id", "occurred_at", "expires_at")),
        ({"source_system": "api", "path": "p"}, ("source_system", "path")),
    ):  # fmt: skip
        again = await world.memories.store(replace(new, **changes))  # type: ignore[arg-type]
        assert not again.created and again.not_kept == unkept
    async for again in world.memories.store_many([replace(new, agent_id="two")], embed=False):
        assert again.not_kept == ("agent_id",)


async def test_what_a_batch_says_twice_is_named(world: World) -> None:
    news = [NewMemory(content="Twice.", agent_id=agent) for agent in ("one", "two", "one")]
    stored = await world.memories.store_batch(news)
    assert [s.not_kept for s in stored] == [(), ("agent_id",), ()]


@pytest.mark.parametrize("others", [3, 100])  # as arrays, and by COPY
async def test_an_id_that_somebody_else_hides_leaves_nothing_of_its_batch(
    open_world: OpenWorld, bob: Target, others: int
) -> None:
    async with open_world() as alice, open_world(at=bob) as other:
        taken = await other.memories.store(NewMemory(content="Nobody else's business."))
        batch = [NewMemory(content=f"Other {n}.") for n in range(others)]
        with pytest.raises(Conflict) as caught:
            await alice.memories.store_batch([*batch, NewMemory(content="Guess.", id=taken.id)])
        assert caught.value.code == "memory.id_taken"
        assert await alice.memories.list_memories(MemoryFilter()) == []
