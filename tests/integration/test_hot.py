"""Vectors in memory beside PostgreSQL: the same answers, also while rows change, and none for others' eyes."""

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from mahavishnu.app import open_app
from mahavishnu.base.settings.sources import load_settings
from mahavishnu.daemon.background import follow_vectors
from mahavishnu.database.target import Target
from mahavishnu.memory.hot import index as hot_index
from mahavishnu.memory.hot import vectors
from mahavishnu.memory.hot.index import HotIndex
from mahavishnu.memory.integrity import check_integrity
from mahavishnu.memory.models import MemoryFilter, NewMemory, SearchResult
from mahavishnu.memory.search import Retriever, SearchRequest
from mahavishnu.memory.tiers import open_hot, open_tiers
from mahavishnu.operations.memory import store_memory
from mahavishnu.operations.operation import Call
from mahavishnu.operations.requests import StoreMemory
from tests.conftest import Cluster, OpenWorld, World
from tests.support.fakes import FakeEmbedder

pytestmark = pytest.mark.postgres
WORDS = ("walrus", "tern", "seal", "krill", "orca", "auk", "skua", "narwhal")


@pytest.fixture
async def index(world: World) -> AsyncIterator[HotIndex]:
    """An index that was filled while there was one memory."""
    await world.memories.store(NewMemory(content="The first."))
    made = HotIndex(world.database, world.space, limit_bytes=2**26)
    await made.follow()
    yield made


def both(world: World, index: HotIndex) -> Retriever:
    return Retriever(open_tiers(world.database, world.space, world.scopes, index))


async def ask(retriever: Retriever, query: str, **options: object) -> SearchResult:
    asked = SearchRequest(**{"query": query, "mode": "vector", "limit": 20, **options})  # type: ignore[arg-type]
    return await retriever.search(asked)


def texts(result: SearchResult) -> list[str]:
    return [hit.memory.content for hit in result.hits]


async def assert_same(
    world: World, index: HotIndex, *, followed: bool = True, **options: object
) -> SearchResult:
    """Assert that hot gives cold's answer; what died lately still has a part in the scale of its scores."""
    retriever = both(world, index)
    found = await ask(retriever, "the walrus and the tern", tiers=("hot",), **options)
    cold = await ask(retriever, "the walrus and the tern", tiers=("cold",), **options)
    assert not found.degraded
    assert [hit.memory.id for hit in found.hits] == [hit.memory.id for hit in cold.hits]
    for one, other in zip(found.hits, cold.hits, strict=True):
        assert not followed or one.score == pytest.approx(other.score, abs=2e-3)
        assert (one.char_start, one.char_end) == (other.char_start, other.char_end)
    return found


async def test_answers_are_those_of_postgresql_while_rows_change(
    world: World, index: HotIndex
) -> None:
    draw, kept, compared = random.Random(24), [], []
    for project in ("north", "south"):  # a project that is new is PostgreSQL's to search
        await world.memories.store(NewMemory(content="One.", project=project))
    await index.follow()
    for step in range(12):
        for number in range(6):
            text = f"{step}.{number} " + " ".join(draw.choices(WORDS, k=6))
            project = draw.choice(("north", "south", None))
            kept.append(await world.memories.store(NewMemory(content=text, project=project)))
        gone = kept.pop(draw.randrange(len(kept)))
        await world.memories.forget([gone.id])
        if step % 2:
            await world.memories.forgetting.restore([gone.id])
            kept.append(gone)
        old = kept.pop(draw.randrange(len(kept)))
        kept.append(await world.memories.supersede(old.id, f"{step} anew: walrus tern"))
        found = await assert_same(world, index, followed=False)
        compared.append(found.explanation["vector_search"])
        if step % 3 == 0:
            await index.follow()
            await assert_same(world, index)
    await index.follow()
    # PostgreSQL looks again where what died left less than was asked for.
    assert set(compared) == {"exact in memory", "exact"} and compared.count("exact") < 6
    await assert_same(world, index, wanted=MemoryFilter(projects=("north",)))
    await assert_same(world, index, threshold=0.3)
    await assert_same(world, index, mode="hybrid")


async def test_what_is_forgotten_is_gone_at_once_and_for_good(
    world: World, index: HotIndex
) -> None:
    stored = [await world.memories.store(NewMemory(content=f"The walrus {n}.")) for n in range(40)]
    await index.follow()
    await world.memories.forget([each.id for each in stored[:-1]], purge=True)
    found = texts(await ask(both(world, index), "The walrus 1.", limit=5))
    assert set(found) == {"The walrus 39.", "The first."}
    await index.follow()  # nothing in the database leads from their changes to their rows any more
    await assert_same(world, index)
    assert len(index) == 2


async def test_a_vector_that_is_made_later_counts_when_it_is_there(
    world: World, index: HotIndex, open_world: OpenWorld
) -> None:
    async with open_world(without_embedder=True) as theirs:
        late = await theirs.memories.store(NewMemory(content="The walrus waits."))
    await index.follow()
    assert late.id not in {h.memory.id for h in (await ask(both(world, index), "walrus")).hits}
    await world.memories.embed_waiting(limit=10)
    await assert_same(world, index)
    assert len(index) == 1
    await index.follow()
    found = await assert_same(world, index)
    assert "The walrus waits." in texts(found) and len(index) == 2


async def test_anothers_private_rows_are_neither_kept_nor_found(
    world: World, index: HotIndex, open_world: OpenWorld, bob: Target
) -> None:
    async with open_world(at=bob) as theirs:
        await theirs.memories.store(NewMemory(content="Bob's own walrus."))
        shared = NewMemory(content="Bob's walrus for all.", visibility="shared")
        open_to_all = await theirs.memories.store(shared)
        await index.follow()
        found = texts(await assert_same(world, index))
        assert "Bob's walrus for all." in found and "Bob's own walrus." not in found
        own = await world.memories.store(NewMemory(content="My own walrus."))
        copied = HotIndex(theirs.database, theirs.space, limit_bytes=2**26)
        await copied.follow()
        assert "My own walrus." not in texts(await assert_same(theirs, copied))
        await theirs.memories.forget([open_to_all.id], purge=True)
    await index.follow()
    found = texts(await assert_same(world, index))
    assert "My own walrus." in found and "Bob's walrus for all." not in found
    assert own


async def test_a_graph_finds_what_all_compared_finds(
    world: World, index: HotIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes about 3 s: a graph needs some hundred rows."""
    monkeypatch.setattr(vectors, "GRAPH_FROM", 300)
    monkeypatch.setattr(vectors, "EXACT_UP_TO", 60)
    draw = random.Random(7)
    projects = ("few", *("north", "south", "east") * 3)
    news = [
        NewMemory(content=f"{n} " + " ".join(draw.choices(WORDS, k=9)), project=projects[n % 10])
        for n in range(700)
    ]
    for begin in range(0, 700, 350):
        await world.memories.store_batch(news[begin : begin + 350])
        await index.follow()  # a graph, and then one that grows
    retriever = both(world, index)
    for wanted in (MemoryFilter(), MemoryFilter(projects=("north", "south"))):
        found = missed = 0
        for number in range(0, 700, 50):
            asked = {"query": news[number].content, "limit": 10, "wanted": wanted}
            by_graph = await ask(retriever, **asked, tiers=("hot",))
            assert by_graph.explanation["vector_search"] == "hnsw in memory"
            exact = {hit.memory.id for hit in (await ask(retriever, **asked, tiers=("cold",))).hits}
            found += len(exact & {hit.memory.id for hit in by_graph.hits})
            missed += len(exact - {hit.memory.id for hit in by_graph.hits})
        assert found / (found + missed) > 0.95
    # Too small a part for the graph, and too many to compare one by one.
    few = await ask(retriever, "walrus", wanted=MemoryFilter(projects=("few",)), tiers=("hot",))
    assert few.explanation["vector_search"] == "exact" and len(few.hits) == 20


async def test_others_have_their_turn_while_a_graph_grows(
    world: World, index: HotIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vectors, "GRAPH_FROM", 40)
    seen: list[int] = []
    grow = vectors.Vectors.grow_graph

    def grow_and_note(self: vectors.Vectors) -> None:
        seen.append(turns)
        grow(self)

    monkeypatch.setattr(vectors.Vectors, "grow_graph", grow_and_note)
    await world.memories.store_batch([NewMemory(content=f"The walrus {n}.") for n in range(60)])
    following, turns = asyncio.create_task(index.follow()), 0
    while not following.done():
        turns += 1
        await asyncio.sleep(0)
    assert len(seen) == len(set(seen)) == 4  # pieces of 16 rows


async def test_a_long_memory_is_read_in_several_pages(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hot_index, "PAGE", 2)
    await world.memories.store(NewMemory(content="The tern."))
    long = " ".join(f"word{n} walrus" for n in range(600))
    await world.memories.store(NewMemory(content=f"tern {long}"))
    made = HotIndex(world.database, world.space, limit_bytes=2**26)
    await made.follow()
    assert len(made) > 5
    await assert_same(world, made)


async def test_an_index_that_is_filled_while_rows_change_has_them_all(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hot_index, "PAGE", 5)
    early = await world.memories.store_batch(
        [NewMemory(content=f"The walrus {n}.", project=f"p{n % 4}") for n in range(80)]
    )
    made = HotIndex(world.database, world.space, limit_bytes=2**26)
    retriever = both(world, made)
    filling = asyncio.create_task(made.follow())
    kept, gone, number = {each.id for each in early}, set(), 0
    while not filling.done() or number < 4:
        project = f"p{number % 6}"  # some are new
        new = await world.memories.store(NewMemory(content=f"Late {number}.", project=project))
        forgotten = early[number].id
        await world.memories.forget([forgotten], purge=bool(number % 2))
        found = await ask(retriever, f"Late {number}.", tiers=("hot",))
        ids = {hit.memory.id for hit in found.hits}
        assert new.id in ids and forgotten not in ids
        kept.add(new.id)
        gone.add(forgotten)
        number += 1
    await filling
    await made.follow()
    assert len(made) == len(kept - gone)
    await assert_same(world, made)


async def test_each_of_two_daemons_answers_with_what_the_other_did(
    world: World, index: HotIndex, open_world: OpenWorld
) -> None:
    async with open_world() as other:
        second = HotIndex(other.database, other.space, limit_bytes=2**26)
        await second.follow()
        for number in range(4):
            new = await other.memories.store(NewMemory(content=f"The other's walrus {number}."))
            assert "The other's walrus" in texts(await ask(both(world, index), "walrus"))[0]
            await world.memories.forget([new.id])
            for one, its in ((world, index), (other, second)):
                found = await ask(both(one, its), "walrus", tiers=("hot",))
                assert texts(found) == ["The first."]
            await (index if number % 2 else second).follow()
        await index.follow()
        await second.follow()
        assert len(index) == len(second) == 1


async def test_finer_filters_and_too_many_vectors_are_for_postgresql(
    world: World, index: HotIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.memories.store(NewMemory(content="The walrus.", agent_id="a"))
    wanted = MemoryFilter(agent_id="a")
    found = await ask(both(world, index), "walrus", wanted=wanted, tiers=("hot",))
    assert texts(found) == ["The walrus."] and found.explanation["vector_search"] == "exact"
    small = HotIndex(world.database, world.space, limit_bytes=100)
    await small.follow()
    found = await ask(both(world, small), "walrus", tiers=("hot",))
    [part] = found.degraded
    assert part.part == "tier:hot" and "memory.hot.max_mb" in part.reason and found.hits
    reads: list[object] = []
    monkeypatch.setattr(small, "_follow", reads.append)
    await small.follow()  # a second later: that would read all vectors again
    assert not reads


async def test_vectors_that_are_made_again_are_found(
    world: World, index: HotIndex, target: Target
) -> None:
    stored = await world.memories.store(NewMemory(content="The walrus."))
    await index.follow()
    lose = (
        "DELETE FROM embeddings_1 WHERE memory_no = (SELECT memory_no FROM memories WHERE id = $1)"
    )
    await world.database.run(lambda c: c.execute(lose, stored.id))
    index.clear()
    await index.follow()
    [damage] = (await check_integrity(world.database))[0]
    connection = await asyncpg.connect(**target.direct)
    await connection.execute(damage.statement)
    await connection.close()
    assert await world.memories.embed_waiting(limit=10) == 1
    await index.follow()
    found = await ask(both(world, index), "walrus", tiers=("hot",))
    assert texts(found) == ["The walrus.", "The first."]


async def test_only_the_read_after_a_search_in_memory_keeps_its_plan(
    world: World, index: HotIndex
) -> None:
    """A kept plan for the nearest vectors was measured at 98 ms instead of 4."""
    kept = (
        "SELECT coalesce(sum(generic_plans), 0) FROM pg_prepared_statements WHERE statement LIKE $1"
    )
    retriever = both(world, index)
    for _ in range(2):
        assert texts(await ask(retriever, "the first", tiers=("hot",))) == ["The first."]
    assert await world.database.run(lambda c: c.fetchval(kept, "%fetch_hits%")) == 2
    await world.memories.store(NewMemory(content="The walrus.", agent_id="a"))
    filtered = MemoryFilter(agent_id="a")
    for options in ({}, {"wanted": filtered}, {"mode": "hybrid"}, {"tiers": ("cold",)}):
        await ask(retriever, "the first", **{"tiers": ("hot",), **options})
    assert await world.database.run(lambda c: c.fetchval(kept, "%nearest_%")) == 0
    index.clear()
    await ask(retriever, "the first", tiers=("hot",))
    for name in ("nearest_", "select_matching", "match_terms"):
        assert await world.database.run(lambda c, like=f"%{name}%": c.fetchval(kept, like)) == 0
    async with world.database.connection() as connection:
        assert await connection.fetchval("SHOW plan_cache_mode") == "force_custom_plan"


async def test_a_database_that_was_replaced_is_read_anew(world: World, index: HotIndex) -> None:
    index.clear()
    found = await ask(both(world, index), "first", tiers=("hot",))
    assert texts(found) == ["The first."]
    assert found.degraded[0].reason == "It is being filled. PostgreSQL answers for it."
    await index.follow()
    await assert_same(world, index)


async def test_scopes_that_become_visible_bring_their_old_rows(
    world: World,
    index: HotIndex,
    open_world: OpenWorld,
    bob: Target,
    cluster: Cluster,
    database_name: str,
) -> None:
    async with open_world(at=bob) as theirs:
        await theirs.memories.store(NewMemory(content="Bob's walrus.", project="arctic"))
        await index.follow()
        await index.follow()
        change = "UPDATE scopes SET visibility = 'shared' WHERE owner = current_user"
        await theirs.database.run(lambda c: c.execute(change))
    superuser = await asyncpg.connect(cluster.dsn(database_name, "postgres"))
    await superuser.execute("DELETE FROM changes")  # nothing leads to the rows
    await superuser.close()
    found = await ask(both(world, index), "walrus", tiers=("hot",))
    assert "Bob's walrus." in texts(found)  # PostgreSQL answers until it has been read
    await index.follow()
    assert "Bob's walrus." in texts(await assert_same(world, index))


def test_vectors_are_read_as_they_are_sent() -> None:
    import numpy as np

    values = np.array([[0.5, -0.25, 1.0], [0.0, 0.125, -1.0]], np.float32)
    sent = [b"\x00\x03\x00\x00" + row.astype(">f2").tobytes() for row in values]
    assert (vectors.read_vectors(sent, 3) == values).all()


async def test_a_server_fills_its_index_and_searches_there_unasked(tmp_path: Path) -> None:
    """It takes more than 2 s: the embedded server starts."""
    environ = {
        "MAHAVISHNU_HOME": str(tmp_path),
        "HOME": str(tmp_path),
        "MAHAVISHNU_PG_IDLE_TIMEOUT": "0.5",
    }
    loaded = load_settings(environ=environ, folder=tmp_path)
    async with open_app(loaded, embedder=FakeEmbedder(), hot=True) as app:
        call, walrus = Call(app, "test"), StoreMemory(content="The walrus.")
        first = await store_memory(call, walrus)
        assert first.places == {"postgresql": "stored"}  # the index is not there yet
        following = asyncio.create_task(follow_vectors(app))
        assert app.hot is not None
        while app.hot.missing:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.05)
        for tiers in ((), ("hot",)):
            found = await app.search(SearchRequest(query="walrus", tiers=tiers))
            assert found.explanation["vector_search"] == "exact in memory" and not found.degraded
        again = await store_memory(call, walrus)
        other = await store_memory(call, StoreMemory(content="A tern."))
        assert again.places == {"postgresql": "stored", "hot": "indexed"}
        assert other.places == {"postgresql": "stored", "hot": "not indexed yet"}
        following.cancel()
    assert open_hot(app.database, app.space, max_mb=0) is None
