"""What a Tier promises, on PostgreSQL, on vectors in memory, and on the fake; and several as one."""

from collections.abc import Awaitable, Sequence

import pytest

from mahavishnu.base.errors import NotFound, Unavailable, UsageError
from mahavishnu.memory.hot.index import HotIndex
from mahavishnu.memory.models import Memory, MemoryFilter, NewMemory, SearchResult
from mahavishnu.memory.search import Retriever, SearchRequest, Tier
from mahavishnu.memory.tiers import open_tiers
from tests.conftest import World
from tests.support.fakes import FakeTier

pytestmark = pytest.mark.postgres
FACTS = (
    "The walrus sleeps on the ice.",
    "The walrus eats clams.",
    "The tern flies from pole to pole.",
)
ELSEWHERE = "Once more: the walrus sleeps."


def opened(world: World) -> dict[str, Tier]:
    return open_tiers(world.database, world.space, world.scopes)


def fake_over(world: World) -> FakeTier:
    return FakeTier(lambda wanted: world.memories.list_memories(wanted, limit=100))


def ask(tier: Tier, **options: object) -> Awaitable[SearchResult]:
    return tier.search(SearchRequest(**{"query": "the walrus sleeps", **options}))  # type: ignore[arg-type]


def texts(result: SearchResult) -> list[str]:
    return [hit.memory.content for hit in result.hits]


@pytest.fixture(params=["cold", "hot", "fake"])
async def tier(request: pytest.FixtureRequest, world: World) -> Tier:
    if request.param == "hot":  # filled before anything is stored: what comes later counts too
        index = HotIndex(world.database, world.space, limit_bytes=2**20)
        await world.memories.store(NewMemory(content="Nothing of it."))
        await index.follow()
        assert not index.missing
    await world.memories.store_batch(
        [
            NewMemory(content=fact, project="arctic", agent_id=f"a{n}")
            for n, fact in enumerate(FACTS)
        ]
    )
    if request.param == "hot":
        return open_tiers(world.database, world.space, world.scopes, index)["hot"]
    return opened(world)["cold"] if request.param == "cold" else fake_over(world)


async def test_the_best_come_first_and_no_more_than_asked_for(tier: Tier) -> None:
    result = await ask(tier)
    scores = [hit.score for hit in result.hits]
    assert texts(result)[0] == FACTS[0] and FACTS[1] in texts(result)
    assert scores == sorted(scores, reverse=True) and all(0 <= each <= 1 for each in scores)
    assert texts(await ask(tier, limit=1)) == [FACTS[0]]


async def test_only_what_the_filter_lets_through_is_found(tier: Tier) -> None:
    assert texts(await ask(tier, wanted=MemoryFilter(agent_id="a1"))) == [FACTS[1]]
    assert texts(await ask(tier, wanted=MemoryFilter(agent_id="nobody"))) == []
    with pytest.raises(NotFound):
        await ask(tier, wanted=MemoryFilter(projects=("antarctic",)))


async def test_what_was_forgotten_or_replaced_is_not_found(tier: Tier, world: World) -> None:
    first, second = (hit.memory.id for hit in (await ask(tier, limit=2)).hits)
    await world.memories.forget([first])
    await world.memories.supersede(second, "The walrus sleeps at sea.")
    assert [each for each in texts(await ask(tier)) if "walrus" in each] == [
        "The walrus sleeps at sea."
    ]


async def test_a_search_in_hot_is_answered_by_cold_and_says_so(world: World) -> None:
    await world.memories.store(NewMemory(content=FACTS[0]))
    cold = await ask(world.retriever)
    for tiers in (("hot",), ("hot", "cold"), ["cold", "hot", "hot"]):
        result = await ask(world.retriever, tiers=tiers)
        assert texts(result) == texts(cold) == [FACTS[0]]
        [part] = result.degraded
        assert part.part == "tier:hot"
        assert part.reason == "Only a server has it, with the extra hot; cold answers for it."
    assert cold.degraded == (await ask(world.retriever, tiers=())).degraded == ()


async def test_all_tiers_name_those_that_are_not_set_up(world: World) -> None:
    await world.memories.store(NewMemory(content=FACTS[0]))
    result = await ask(world.retriever, tiers=("all",))
    assert texts(result) == [FACTS[0]]
    assert [part.part for part in result.degraded] == ["tier:hot", "tier:development"]
    with pytest.raises(UsageError, match="No Session-Buddy is set up") as caught:
        await ask(world.retriever, tiers=("development",))
    assert caught.value.code == "search.tier_not_yet"


@pytest.mark.parametrize("tiers", [("warm",), ("cold", "warm"), "all", (["cold"],)])
async def test_what_is_no_tier_is_refused(world: World, tiers: object) -> None:
    with pytest.raises(UsageError) as caught:
        await ask(world.retriever, tiers=tiers)
    assert caught.value.code in ("input.tier", "input.wrong_type")
    assert caught.value.hint


async def test_several_tiers_make_one_answer(world: World) -> None:
    stored = await world.memories.store_batch([NewMemory(content=fact) for fact in FACTS])
    elsewhere = await world.memories.store(NewMemory(content=ELSEWHERE))
    theirs = [await world.memories.get(each.id) for each in (elsewhere, *stored)]
    await world.memories.forget([elsewhere.id])

    async def read(_wanted: MemoryFilter) -> Sequence[Memory]:
        return theirs

    retriever = Retriever({**opened(world), "development": FakeTier(read)})
    result = await ask(retriever, tiers=("all",))
    assert texts(result)[:2] == [FACTS[0], ELSEWHERE]  # which cold does not have
    assert sorted(texts(result)) == sorted(each.content for each in theirs)  # and each once
    scores = [hit.score for hit in result.hits]
    assert scores == sorted(scores, reverse=True)
    assert result.explanation.keys() == {"cold", "development"}
    assert texts(await ask(retriever, tiers=("all",), limit=1)) == texts(result)[:1]
    short = await ask(retriever, tiers=("all",), max_tokens=3)
    assert len(short.hits) == 1 and short.hits[0].truncated


async def test_a_tier_that_is_away_is_named_where_another_answered(world: World) -> None:
    await world.memories.store(NewMemory(content=FACTS[0]))

    async def read(wanted: MemoryFilter) -> Sequence[Memory]:
        raise Unavailable("It does not answer.") if wanted.agent_id is None else UsageError("No.")

    away = Retriever({**opened(world), "development": FakeTier(read)})
    result = await ask(away, tiers=("cold", "development"))
    assert texts(result) == [FACTS[0]]
    assert [(part.part, part.reason) for part in result.degraded] == [
        ("tier:development", "It does not answer.")
    ]
    nobody = Retriever({"cold": FakeTier(read), "development": FakeTier(read)})
    for tiers in (("development",), ("cold", "development")):
        with pytest.raises(Unavailable):
            await ask(nobody, tiers=tiers)
    with pytest.raises(UsageError, match="No"):  # which is for the caller to mend
        await ask(away, tiers=("all",), wanted=MemoryFilter(agent_id="a"))
