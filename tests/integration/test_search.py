"""Searching: arms, fusion, filters, what is missing is said; ANN against exact."""

import asyncio
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from mahavishnu.base.errors import Unavailable, UsageError
from mahavishnu.database.pool import SESSION_SETTINGS
from mahavishnu.database.vectors import VectorTable
from mahavishnu.memory import arms, selection
from mahavishnu.memory.models import BroughtVector, MemoryFilter, NewMemory, utc_now
from mahavishnu.memory.search import SearchRequest
from mahavishnu.memory.tiers.cold import ColdTier
from tests.conftest import OpenWorld, World

pytestmark = pytest.mark.postgres

FACTS = [
    "The keeper stops the server sixty seconds after its last user.",
    "Row-level security binds the owner of the tables too.",
    "A spooled write that meets a duplicate becomes an alias.",
    "The embedding model is nomic with 768 dimensions.",
    "getUserName returns the login of the current account.",
]


async def fill(world: World, **options: object) -> None:
    await world.memories.store_batch([NewMemory(content=fact, **options) for fact in FACTS])  # type: ignore[arg-type]


async def contents(world: World, query: str, **options: object) -> list[str]:
    result = await world.retriever.search(SearchRequest(query=query, **options))  # type: ignore[arg-type]
    return [hit.memory.content for hit in result.hits]


@pytest.mark.parametrize("mode", ["hybrid", "vector", "text"])
async def test_the_right_memory_comes_first(world: World, mode: str) -> None:
    await fill(world)
    found = await contents(world, "which embedding model and how many dimensions", mode=mode)
    assert found[0] == FACTS[3]


async def test_identifiers_are_split_and_words_stemmed(world: World) -> None:
    await fill(world)
    assert (await contents(world, "user name", mode="text"))[0] == FACTS[4]
    assert (await contents(world, "getUserName", mode="text"))[0] == FACTS[4]
    assert (await contents(world, "stopping servers", mode="text"))[0] == FACTS[0]


async def test_a_question_of_stop_words_only_finds_nothing_by_words(world: World) -> None:
    await fill(world)
    assert await contents(world, "what is it?", mode="text") == []


async def test_a_rare_word_outweighs_a_common_one(world: World) -> None:
    await world.memories.store_batch(
        [NewMemory(content="The zeppelin landed.")]
        + [NewMemory(content=f"The server handles request number {n}.") for n in range(30)]
    )
    assert (await contents(world, "server zeppelin", mode="text"))[0] == "The zeppelin landed."


async def test_words_above_the_cap_do_not_drown_rarer_ones(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arms, "TERM_CAP", 10)
    await world.memories.store_batch(
        [NewMemory(content=f"common word {n}") for n in range(20)]
        + [NewMemory(content="common and unusual")]
    )
    found = await contents(world, "common unusual", mode="text", limit=20)
    assert found[0] == "common and unusual" and len(found) == 10
    result = await world.retriever.search(SearchRequest(query="common unusual", mode="text"))
    assert result.hits[1].score < 0.05  # the common word only fills the places behind
    newest = await contents(world, "common", mode="text", limit=20)
    assert len(newest) == 10 and "common and unusual" in newest


async def test_without_an_embedder_hybrid_is_lexical_and_says_so(open_world: OpenWorld) -> None:
    async with open_world(without_embedder=True) as world:
        await fill(world)
        result = await world.retriever.search(SearchRequest(query="embedding dimensions"))
        assert result.hits[0].memory.content == FACTS[3]
        assert [d.part for d in result.degraded] == ["vector"]
        assert "no embedder in this test" in result.degraded[0].reason
        with pytest.raises(Unavailable):
            await contents(world, "embedding", mode="vector")
        text = await world.retriever.search(SearchRequest(query="embedding", mode="text"))
        assert text.degraded == ()


async def test_rows_that_wait_for_vectors_are_mentioned(open_world: OpenWorld) -> None:
    async with open_world() as world:
        await fill(world)
    async with open_world(without_embedder=True) as world:
        await world.memories.store(NewMemory(content="A late one about walruses."))
    async with open_world() as world:
        result = await world.retriever.search(SearchRequest(query="walruses"))
        assert result.hits[0].memory.content.startswith("A late one")
        assert "1 memory waits for its vector" in result.degraded[0].reason


async def test_the_explanation_adds_up(world: World) -> None:
    await fill(world)
    result = await world.retriever.search(SearchRequest(query="server security tables"))
    for hit in result.hits:
        assert hit.score == pytest.approx(sum(arm.contribution for arm in hit.arms.values()))
        assert 0 <= hit.score <= 1
    assert result.explanation["vector_search"] == "exact"
    assert result.explanation["terms"] == ["server", "secur", "tabl"]
    scores = [hit.score for hit in result.hits]
    assert scores == sorted(scores, reverse=True)


async def test_the_threshold_is_a_cosine_of_the_vector_arm(world: World) -> None:
    await fill(world)
    every = await world.retriever.search(SearchRequest(query=FACTS[0], mode="vector"))
    assert len(every.hits) == 5
    strict = await contents(world, FACTS[0], mode="vector", threshold=0.9)
    assert strict == [FACTS[0]]


async def test_token_budget_cuts_the_list_and_a_lone_hit(world: World) -> None:
    await world.memories.store_batch(
        [NewMemory(content=f"walrus {n} " + "word " * 98) for n in range(5)]
    )
    two = await contents(world, "walrus", mode="text", max_tokens=220)
    assert len(two) == 2
    [cut] = await contents(world, "walrus", mode="text", max_tokens=10)
    assert 8 <= len(cut.split()) <= 10


async def test_filters_reach_both_arms(world: World) -> None:
    now = utc_now()
    for number, fact in enumerate(FACTS):
        await world.memories.store(
            NewMemory(
                content=fact,
                collection="document" if number == 3 else "note",
                project=f"p{number}",
                agent_id=f"a{number}",
                metadata={"n": number},
                occurred_at=now - timedelta(days=number),
            )
        )
    for mode in ("hybrid", "vector", "text"):
        query = "server security spooled embedding getUserName"
        for wanted in (
            MemoryFilter(projects=("p3",)),
            MemoryFilter(memory_types=("rag",)),
            MemoryFilter(agent_id="a3"),
            MemoryFilter(metadata={"n": 3}),
            MemoryFilter(since=now - timedelta(days=3.5), until=now - timedelta(days=2.5)),
        ):
            assert await contents(world, query, mode=mode, wanted=wanted) == [FACTS[3]], wanted
        assert await contents(world, query, mode=mode, wanted=MemoryFilter(agent_id="no")) == []


async def test_a_wide_fine_filter_still_answers_right(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selection, "EXACT_UP_TO", 10)
    await world.memories.store_batch(
        [
            NewMemory(content=f"walrus fact {n} of many", agent_id="even" if n % 2 == 0 else "odd")
            for n in range(60)
        ]
    )
    for mode in ("hybrid", "vector", "text"):
        result = await world.retriever.search(
            SearchRequest(
                query="walrus fact 12", mode=mode, limit=20, wanted=MemoryFilter(agent_id="even")
            )
        )
        assert {hit.memory.agent_id for hit in result.hits} == {"even"}
        assert result.hits[0].memory.content == "walrus fact 12 of many"


async def test_expired_memories_are_not_found(world: World) -> None:
    await world.expire([await world.memories.store(NewMemory(content="A walrus of yesterday."))])
    assert await contents(world, "walrus") == []
    assert await world.memories.list_memories(MemoryFilter()) == []


@pytest.mark.parametrize(
    "options",
    [
        {"query": "  "},
        {"query": "x" * 10_001},
        {"query": "a\x00b"},
        {"query": "\ud800"},
        {"query": "x", "limit": 0},
        {"query": "x", "limit": -1},
        {"query": "x", "limit": 1001},
        {"query": "x", "threshold": 1.5},
        {"query": "x", "max_tokens": 0},
    ],
)
async def test_bad_requests_are_refused(world: World, options: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        await contents(world, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("share", [0.04, 0.3], ids=["rare", "common"])
async def test_the_graph_finds_what_exact_search_finds(
    open_world: OpenWorld, monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    """Every ANN path against exact search; half of the questions come from far outside the filter."""
    monkeypatch.setitem(SESSION_SETTINGS, "enable_sort", "off")  # else so small a table is sorted
    generator = random.Random(7)
    centres = [[generator.gauss(0, 1) for _ in range(32)] for _ in range(25)]

    def near(place: int) -> BroughtVector:
        values = [value + generator.gauss(0, 0.7) for value in centres[place]]
        return BroughtVector(model="mine", values=values, dimensions=32)

    inside = round(share * len(centres))
    async with open_world(without_embedder=True) as world:
        news = [
            NewMemory(content=f"number {n}", project=name, agent_id=name, vector=near(n % 25))
            for n in range(3000)
            for name in ["inside" if n % 25 < inside else "outside"]
        ]
        async for _ in world.memories.store_many(news):
            pass
        async with world.database.connection() as connection:
            await connection.execute("ANALYZE")
            plan = await connection.fetch(
                "EXPLAIN " + VectorTable(1, 32).nearest().replace("$1", f"'{[1] * 32}'")
                .replace("$2", "20").replace("$3", "'{1,2}'")
            )  # fmt: skip
        assert any("embedding_idx" in row[0] for row in plan)
        questions = [near(n % inside if n % 2 else inside + n % (25 - inside)) for n in range(30)]

        async def answers(wanted: MemoryFilter) -> list[set[int]]:
            requests = [
                SearchRequest(query="?", mode="vector", vector=vector, wanted=wanted, limit=20)
                for vector in questions
            ]
            results = [await world.retriever.search(request) for request in requests]
            return [{hit.memory.memory_no for hit in result.hits} for result in results]

        filters = [
            MemoryFilter(projects=("inside",)),
            MemoryFilter(agent_id="inside"),
            MemoryFilter(collections=("note",)),
            MemoryFilter(),
        ]
        exact = [await answers(wanted) for wanted in filters]
        monkeypatch.setattr(selection, "EXACT_UP_TO", 5)
        walked = [await answers(wanted) for wanted in filters]
        for wanted, right, found in zip(filters, exact, walked, strict=True):
            assert all(len(best) == 20 for best in right)
            pairs = zip(right, found, strict=True)
            recall = sum(len(a & b) for a, b in pairs) / (20 * len(questions))
            assert recall >= 0.97, wanted


async def test_conversation_turns_are_found_by_speaker_and_date(world: World) -> None:
    from mahavishnu.memory.conversations import NewTurn

    turns = [
        NewTurn(
            session_id="s1", position=n, role="user", speaker=speaker, content=text,
            occurred_at=datetime(2023, 5, 8, 13, n, tzinfo=UTC), agent_id="a",
        )
        for n, (speaker, text) in enumerate(
            [("Caroline", "I adopted a cat."), ("Melanie", "I painted a lake."), ("Caroline", "ok"),
             ("Melanie", "ok")]
        )
    ]  # fmt: skip
    stored = await world.conversations.record(turns)
    assert len({s.id for s in stored}) == 4
    again = await world.conversations.record(turns)
    assert [s.id for s in again] == [s.id for s in stored] and not any(s.created for s in again)
    assert (await contents(world, "Caroline cat Melanie lake", mode="text", limit=4))[:2] == [
        "I painted a lake.",
        "I adopted a cat.",
    ]
    assert (await contents(world, "Caroline", mode="text")) == ["ok", "I adopted a cat."]
    assert [turn.content for turn in await world.conversations.read("s1")] == [
        t.content for t in turns
    ]
    result = await world.retriever.search(
        SearchRequest(query="lake", wanted=MemoryFilter(session_id="s1"))
    )
    assert result.hits[0].memory.metadata["speaker"] == "Melanie"


async def test_a_searcher_that_has_searched_meets_scopes_made_since(open_world: OpenWorld) -> None:
    async with open_world() as world, open_world() as elsewhere:
        await fill(world)
        assert await contents(world, "walruses", mode="text") == []
        await elsewhere.memories.store(NewMemory(content="About walruses.", project="arctic"))
        for mode in ("text", "vector", "hybrid"):
            assert (await contents(world, "walruses", mode=mode))[0] == "About walruses."
        arctic = MemoryFilter(projects=("arctic",))
        assert len(await contents(world, "walruses", wanted=arctic)) == 1
        await elsewhere.memories.store(
            NewMemory(content="More about walruses.", project="arctic", collection="document")
        )
        assert len(await contents(world, "walruses", wanted=arctic)) == 2


async def test_newer_memories_outside_a_wide_filter_do_not_hide_older_ones(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selection, "EXACT_UP_TO", 5)
    monkeypatch.setattr(arms, "TERM_CAP", 10)
    await world.memories.store_batch(
        [NewMemory(content=f"alert number {n}", agent_id="old") for n in range(20)]
        + [NewMemory(content=f"alert again {n}", agent_id="new") for n in range(20)]
    )
    for agent in ("old", "new"):
        found = await contents(world, "alert", mode="text", wanted=MemoryFilter(agent_id=agent))
        assert len(found) == 10


async def test_the_chunks_of_one_long_memory_do_not_crowd_out_the_others(world: World) -> None:
    await world.memories.store(NewMemory(content="walrus tusk. " * 4000, collection="document"))
    await world.memories.store_batch(
        [NewMemory(content=f"A walrus, number {n}.") for n in range(8)]
    )
    assert len(await contents(world, "walrus tusk", mode="vector", limit=10)) == 9


async def test_long_documents_leave_room_for_all_the_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = [
        NewMemory(content=f"walrus tusk {n}. " * 20_000, collection="document") for n in range(2)
    ]
    await world.memories.store_batch(
        [*long, *(NewMemory(content=f"A walrus, number {n}.") for n in range(12))]
    )
    for cap in (20_000, 5):
        monkeypatch.setattr(selection, "EXACT_UP_TO", cap)
        for mode in ("vector", "hybrid"):
            assert len(await contents(world, "walrus tusk", mode=mode, limit=14)) == 14


async def test_a_graph_that_loses_patience_is_not_believed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is searched lies far from the question, behind more of others than the graph looks at."""
    towards = BroughtVector(model="fake", values=[1.0] + [0.0] * 63, dimensions=64)
    await world.memories.store_batch(
        [
            NewMemory(content=f"near {n}", project="near", vector=nudged(towards, n))
            for n in range(300)
        ]
    )
    away = replace(towards, values=[-1.0] + [0.0] * 63)
    await world.memories.store_batch(
        [
            NewMemory(content=f"far {n}", project="far", agent_id="far", vector=nudged(away, n))
            for n in range(40)
        ]
    )
    monkeypatch.setattr(selection, "EXACT_UP_TO", 5)
    monkeypatch.setattr(arms, "NARROWED_DEPTH", 30)
    async with world.database.connection() as connection:
        await connection.execute("ANALYZE")
    for wanted in (MemoryFilter(projects=("far",)), MemoryFilter(agent_id="far")):
        request = SearchRequest(query="?", mode="vector", vector=towards, limit=20, wanted=wanted)
        async with world.database._open_pool().acquire() as connection:
            await connection.execute("SET hnsw.max_scan_tuples = 1")
            await connection.execute("SET enable_sort = off")  # or so small a table is sorted
            cold = ColdTier(world.database, world.space, world.scopes)
            result = await cold._answer(connection, (await cold._prepare(request))[0])
        assert len(result.hits) == 20 and result.compared == "exact"


def nudged(brought: BroughtVector, number: int) -> BroughtVector:
    values = list(brought.values)
    values[1 + number % 63] = 0.001 * (1 + number)
    return replace(brought, values=values)


async def test_what_expires_later_does_not_hide_the_living(world: World) -> None:
    """5 s: a busy machine stores and finds them in this time."""
    until = utc_now() + timedelta(seconds=5)
    await world.memories.store_batch(
        [NewMemory(content=f"giraffe {n}") for n in range(5)]
        + [NewMemory(content=f"giraffe giraffe {n}", expires_at=until) for n in range(150)]
    )
    assert len(await contents(world, "giraffe", mode="hybrid")) == 10
    await asyncio.sleep((until - utc_now()).total_seconds() + 0.1)
    for mode in ("hybrid", "text", "vector"):
        assert len(await contents(world, "giraffe", mode=mode)) == 5


async def test_expired_memories_do_not_crowd_out_live_ones(world: World) -> None:
    await world.expire(
        await world.memories.store_batch(
            [NewMemory(content=f"giraffe giraffe {n}") for n in range(150)]
        )
    )
    await world.memories.store(
        NewMemory(content="One live giraffe among many words that are not about it.")
    )
    assert len(await contents(world, "giraffe", mode="text")) == 1


async def test_a_question_without_an_indexed_word_says_so(world: World) -> None:
    await fill(world)
    result = await world.retriever.search(SearchRequest(query="to be or not to be", mode="text"))
    assert [d.part for d in result.degraded] == ["text"]


async def test_words_of_other_scripts_are_found(world: World) -> None:
    texts = ["使用PostgreSQL数据库", "कहानी की किताब", "Le cafe\u0301 ferme", "parseHTTPHeaders"]
    await world.memories.store_batch([NewMemory(content=text) for text in texts])
    for query, text in zip(
        ("postgresql", "किताब", "caf\u00e9", "parsehttpheaders"), texts, strict=True
    ):
        assert await contents(world, query, mode="text") == [text]


async def test_one_character_is_found_inside_a_sentence_and_alone(world: World) -> None:
    sentence, alone, korean = "我家的猫喜欢睡觉。", "猫", "집에서 자요"
    await world.memories.store_batch([NewMemory(content=t) for t in (sentence, alone, korean)])
    assert set(await contents(world, "猫", mode="text")) == {sentence, alone}
    assert await contents(world, "집", mode="text") == [korean]
    assert await contents(world, "喜欢", mode="text") == [sentence]
    assert await contents(world, "狗", mode="text") == []


@pytest.mark.parametrize(
    "options",
    [{"mode": "bogus"}, {"tiers": ("bogus",)}],
)
async def test_unknown_words_of_a_request_are_refused(
    world: World, options: dict[str, object]
) -> None:
    with pytest.raises(UsageError):
        await contents(world, "x", **options)


async def test_a_condition_narrows_by_metadata(world: World) -> None:
    for pages in (5, 50):
        await world.memories.store(NewMemory(content=f"book of {pages}", metadata={"pages": pages}))
    wanted = MemoryFilter(condition="$.pages > 10")
    [listed] = await world.memories.list_memories(wanted)
    [found] = (await world.retriever.search(SearchRequest(query="book", wanted=wanted))).hits
    assert listed.content == found.memory.content == "book of 50"
    assert await world.memories.select_ids(wanted) == [listed.id]
    assert [m.id for m in await world.memories.get_many([listed.id, UUID(int=0)])] == [listed.id]
