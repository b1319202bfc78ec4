"""What seeded faults would change in the stored rows, and no test of behaviour alone would see."""

import asyncio
import math
import uuid
from contextlib import AsyncExitStack

import pytest

from mahavishnu.database.target import Target
from mahavishnu.memory.models import MemoryFilter, NewMemory
from mahavishnu.memory.ranking import BM25_B, BM25_K1, WEIGHTS
from mahavishnu.memory.search import SearchRequest
from tests.conftest import OpenWorld, World
from tests.support.fakes import FakeEmbedder

pytestmark = pytest.mark.postgres


async def rows_of(world: World, memory_id: uuid.UUID) -> dict[str, int]:
    async with world.database.connection() as connection:
        number = await connection.fetchval(
            "SELECT memory_no FROM memories WHERE id = $1", memory_id
        )
        return {
            table: await connection.fetchval(
                f"SELECT count(*) FROM {table} WHERE memory_no = $1", number
            )
            for table in ("postings", "embeddings_1", "embedding_queue")
        }


async def test_a_superseded_memory_leaves_both_indexes_and_the_queue(open_world: OpenWorld) -> None:
    async with open_world() as world:
        old = await world.memories.store(NewMemory(content="Port 8000 listens."))
        assert await rows_of(world, old.id) == {
            "postings": 3, "embeddings_1": 1, "embedding_queue": 0,
        }  # fmt: skip
        await world.memories.supersede(old.id, "Port 8680 listens.")
        assert set((await rows_of(world, old.id)).values()) == {0}
    async with open_world(without_embedder=True) as world:
        waiting = await world.memories.store(NewMemory(content="Port 1 waits."))
        assert (await rows_of(world, waiting.id))["embedding_queue"] == 1
        await world.memories.supersede(waiting.id, "Port 2 waits.")
        assert set((await rows_of(world, waiting.id)).values()) == {0}


async def test_words_are_scored_by_bm25(world: World) -> None:
    texts = ["walrus walrus walrus pool", "walrus tide", "pool " + "kelp " * 60, "tide", "reef"]
    for text in texts:
        await world.memories.store(NewMemory(content=text))
    result = await world.retriever.search(SearchRequest(query="walrus pool", mode="text"))
    usual = WEIGHTS["note"].usual_length

    def score(text: str) -> float:
        words = text.split()
        total = 0.0
        for term in ("walrus", "pool"):
            df = sum(term in other.split() for other in texts)
            idf = math.log(1 + (len(texts) - df + 0.5) / (df + 0.5))
            norm = BM25_K1 * (1 - BM25_B + BM25_B * len(words) / usual)
            total += idf * words.count(term) / (words.count(term) + norm)
        return total

    found = {hit.memory.content: hit.arms["text"].score for hit in result.hits}
    assert found == pytest.approx({text: score(text) for text in texts if score(text) > 0})
    assert [hit.memory.content for hit in result.hits] == sorted(found, key=score, reverse=True)


async def test_what_words_alone_found_is_judged_by_both_arms(world: World) -> None:
    await world.memories.store_batch(
        [NewMemory(content="walrus tide reef"), NewMemory(content="walrus kelp pool")]
    )
    result = await world.retriever.search(
        SearchRequest(query="walrus kelp cellar", threshold=0.99)  # nothing for the vector arm
    )
    best, other = result.hits
    assert best.memory.content == "walrus kelp pool"
    assert best.arms["vector"].rank is other.arms["vector"].rank is None
    assert best.arms["vector"].score > other.arms["vector"].score > 0


async def test_one_model_is_registered_by_many_at_once(open_world: OpenWorld) -> None:
    async with AsyncExitStack() as stack:
        worlds = [await stack.enter_async_context(open_world(FakeEmbedder())) for _ in range(6)]
        tables = await asyncio.gather(*(world.space.claim() for world in worlds))
        assert {table.name for table in tables} == {"embeddings_1"}


async def test_who_owns_the_tables_does_not_own_the_rows(
    open_world: OpenWorld, bob: Target
) -> None:
    async with open_world() as owner, open_world(at=bob) as other:
        await owner.memories.store(NewMemory(content="The owner's tide."))
        stored = await other.memories.store(NewMemory(content="The member's tide."))
        for mode in ("text", "vector", "hybrid"):
            found = await owner.retriever.search(SearchRequest(query="tide", mode=mode))
            assert [hit.memory.content for hit in found.hits] == ["The owner's tide."]
        assert stored.id not in {m.id for m in await owner.memories.list_memories(MemoryFilter())}
        async with owner.database.connection() as connection:
            for table in ("memories", "postings", "scopes", "changes"):
                seen = await connection.fetch(f"SELECT DISTINCT scope_no FROM {table}")
                assert len(seen) == 1, table
