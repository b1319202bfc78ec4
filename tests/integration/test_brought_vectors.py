"""Vectors that callers bring: they may found the database's model, and never mix with another."""

import asyncio
from dataclasses import replace

import pytest

from mahavishnu.base.errors import Conflict, Unavailable, UsageError
from mahavishnu.embedding.choose import EmbeddingConfig, choose_embedder
from mahavishnu.memory.models import BroughtVector, NewMemory
from mahavishnu.memory.search import SearchRequest
from tests.conftest import OpenWorld
from tests.support.fakes import FakeEmbedder

pytestmark = pytest.mark.postgres
VECTOR = BroughtVector(model="mine", values=[3.0] + [0.0] * 7, dimensions=8)
NEW = NewMemory(content="Brought along.", vector=VECTOR)


async def test_a_first_vector_that_states_its_dimensions_founds_the_model(
    open_world: OpenWorld,
) -> None:
    async with open_world(without_embedder=True) as world:
        with pytest.raises(Conflict) as caught:
            await world.memories.store(replace(NEW, vector=replace(VECTOR, dimensions=None)))
        assert caught.value.code == "embedding.no_model"
        assert (await world.memories.store(NEW)).embedded
        active = await world.space.active()
        assert active is not None
        assert (active[1].provider, active[1].name, active[1].dimensions) == ("brought", "mine", 8)
        plain = replace(VECTOR, dimensions=None)
        assert (await world.memories.store(NewMemory(content="More.", vector=plain))).embedded
        for wrong in (replace(VECTOR, model="other"), replace(VECTOR, values=[1.0] * 9)):
            with pytest.raises(Conflict):
                await world.memories.store(NewMemory(content="Refused.", vector=wrong))


@pytest.mark.parametrize("dimensions", [7, 0, 4001])
async def test_stated_dimensions_must_be_those_of_the_vector(
    open_world: OpenWorld, dimensions: int
) -> None:
    values = [1.0] * (4001 if dimensions == 4001 else 8)
    wrong = BroughtVector(model="mine", values=values, dimensions=dimensions)
    async with open_world(without_embedder=True) as world:
        with pytest.raises(UsageError) as caught:
            await world.memories.store(replace(NEW, vector=wrong))
        assert caught.value.code == "input.vector"
        assert await world.space.active() is None


async def test_an_embedder_that_is_there_comes_first(open_world: OpenWorld) -> None:
    async with open_world(FakeEmbedder(dimensions=8, name="theirs")) as world:
        with pytest.raises(Conflict) as caught:
            await world.memories.store(NEW)
        assert caught.value.code == "embedding.other_model" and "theirs" in caught.value.message
        assert await world.space.active() is None
    async with open_world(FakeEmbedder(dimensions=8, name="mine")) as world:
        assert (await world.memories.store(NEW)).embedded
        active = await world.space.active()
        assert active is not None and active[1].provider == "fastembed"
        assert (await world.memories.store(NewMemory(content="Embedded here."))).embedded


async def test_beside_brought_vectors_search_is_lexical_and_says_why(
    open_world: OpenWorld,
) -> None:
    async def choose(expected: object) -> object:
        return await choose_embedder(
            EmbeddingConfig(), models=None, environ={}, expected=expected  # type: ignore[arg-type]
        )  # fmt: skip

    async with open_world(without_embedder=True) as world:
        await world.memories.store(NEW)
        world.space._choose = choose  # type: ignore[assignment]  # the real one, for its words
        assert not (await world.memories.store(NewMemory(content="Waits."))).embedded
        result = await world.retriever.search(SearchRequest(query="brought"))
        assert [hit.memory.content for hit in result.hits] == ["Brought along."]
        assert "mine, came with the memories" in result.degraded[0].reason
        with pytest.raises(Unavailable) as caught:
            await world.retriever.search(SearchRequest(query="brought", mode="vector"))
        assert "mine, came with the memories" in caught.value.message


async def test_brought_vectors_are_kept_beside_texts_that_wait(open_world: OpenWorld) -> None:
    async with open_world(without_embedder=True) as world:
        stored = await world.memories.store_batch([NewMemory(content="Waits."), NEW])
        assert [s.embedded for s in stored] == [False, True]
        assert await world.memories.count_waiting() == 1


async def test_two_first_vectors_at_once_found_one_model(open_world: OpenWorld) -> None:
    other = replace(NEW, content="Another.", vector=replace(VECTOR, model="theirs"))
    async with (
        open_world(without_embedder=True) as one,
        open_world(without_embedder=True) as two,
    ):
        outcomes = await asyncio.gather(
            one.memories.store(NEW), two.memories.store(other), return_exceptions=True
        )
        assert sorted(isinstance(outcome, Conflict) for outcome in outcomes) == [False, True]


@pytest.mark.parametrize("provider", ["ollama", "in-process", "openai"])
async def test_a_configured_provider_contradicts_brought_vectors(
    open_world: OpenWorld, provider: str
) -> None:
    async with open_world(without_embedder=True) as world:
        await world.memories.store(NEW)
        active = await world.space.active()
    assert active is not None
    with pytest.raises(Conflict) as caught:
        await choose_embedder(
            EmbeddingConfig(provider=provider),  # type: ignore[arg-type]
            models=None, environ={}, expected=active[1],  # type: ignore[arg-type]
        )  # fmt: skip
    assert caught.value.code == "embedding.model_differs"


async def test_a_question_may_bring_its_vector(open_world: OpenWorld) -> None:
    async with open_world(without_embedder=True) as world:
        await world.memories.store(NEW)
        far = replace(VECTOR, values=[0.0] * 7 + [1.0])
        await world.memories.store(NewMemory(content="Far away.", vector=far))
        near = replace(VECTOR, values=[0.1] + [0.0] * 6 + [5.0])
        for mode in ("vector", "hybrid"):
            request = SearchRequest(query="of no word", mode=mode, vector=near)
            result = await world.retriever.search(request)
            assert [hit.memory.content for hit in result.hits] == ["Far away.", "Brought along."]
            assert not any(part.part == "vector" for part in result.degraded)
        for wrong in (replace(VECTOR, model="other"), replace(VECTOR, values=[1.0] * 9)):
            with pytest.raises(Conflict):
                await world.retriever.search(SearchRequest(query="x", vector=wrong))
        with pytest.raises(UsageError):
            nowhere = replace(VECTOR, values=[0.0] * 8)
            await world.retriever.search(SearchRequest(query="x", vector=nowhere))
