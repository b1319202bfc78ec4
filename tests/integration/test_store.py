"""Storing, correcting, forgetting, reading back: on a real PostgreSQL."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from mahavishnu.base.errors import (
    Conflict,
    Corrupt,
    Forbidden,
    MahavishnuError,
    NotFound,
    Unavailable,
    UsageError,
)
from mahavishnu.base.identifiers import new_id, shown
from mahavishnu.database.target import Target
from mahavishnu.memory.models import BroughtVector, MemoryFilter, NewMemory, Stored
from mahavishnu.memory.search import SearchRequest
from tests.conftest import OpenWorld, World
from tests.support.fakes import FakeEmbedder

pytestmark = pytest.mark.postgres


async def counts(world: World) -> dict[str, int]:
    async with world.database.connection() as connection:
        return {
            name: await connection.fetchval(f"SELECT count(*) FROM {name}")
            for name in ("memories", "postings", "embeddings_1", "embedding_queue", "changes")
            if await connection.fetchval("SELECT to_regclass($1) IS NOT NULL", name)
        }


async def test_a_stored_memory_is_read_back_as_it_was(world: World) -> None:
    new = NewMemory(
        content="The pool holds ten connections.",
        collection="insight",
        source_system="tests",
        project="alpha",
        metadata={"type": "decision", "weight": 2.5, "tags": ["a", "ü"]},
        agent_id="a1",
        workflow_id="w1",
        repo_id="r1",
        session_id="s1",
        path="src/pool.py",
        commit_id="abc",
        occurred_at=datetime(2025, 3, 1, 12, tzinfo=UTC),
    )
    stored = await world.memories.store(new)
    assert stored.created and stored.embedded
    found = await world.memories.get(stored.id)
    for name in ("content", "collection", "source_system", "project", "metadata", "agent_id",
                 "workflow_id", "repo_id", "session_id", "path", "commit_id", "occurred_at"):  # fmt: skip
        assert getattr(found, name) == getattr(new, name)
    assert found.memory_type == "insight"
    assert found.owner == "mahavishnu" and found.visibility == "private"


async def test_the_same_text_gives_the_same_id(world: World) -> None:
    first = await world.memories.store(NewMemory(content="Ten connections."))
    again = await world.memories.store(NewMemory(content="Ten connections."))
    assert again.id == first.id and not again.created
    assert (await counts(world))["memories"] == 1


async def test_equal_turns_with_their_own_keys_stay_two(world: World) -> None:
    first = await world.memories.store(NewMemory(content="ok", source_key="s:1"))
    second = await world.memories.store(NewMemory(content="ok", source_key="s:2"))
    assert first.id != second.id


async def test_the_same_text_in_another_project_is_another_memory(world: World) -> None:
    here = await world.memories.store(NewMemory(content="Use tabs.", project="alpha"))
    there = await world.memories.store(NewMemory(content="Use tabs.", project="beta"))
    assert here.id != there.id and there.created


@pytest.mark.parametrize("size", [3, 200], ids=["arrays", "copy"])
async def test_a_batch_is_stored_whole_with_duplicates_inside_it(world: World, size: int) -> None:
    news = [NewMemory(content=f"Fact number {n % (size - 1)}.") for n in range(size)]
    stored = await world.memories.store_batch(news)
    assert len(stored) == size
    assert stored[0].id == stored[size - 1].id
    assert [s.created for s in stored].count(True) == size - 1
    totals = await counts(world)
    assert totals["memories"] == totals["embeddings_1"] == totals["changes"] == size - 1
    assert totals["embedding_queue"] == 0


async def test_an_invalid_memory_leaves_nothing_of_its_batch(world: World) -> None:
    with pytest.raises(UsageError):
        await world.memories.store_batch([NewMemory(content="fine"), NewMemory(content="  ")])
    assert (await counts(world))["memories"] == 0


async def test_a_retry_with_the_same_id_is_the_same_memory(world: World) -> None:
    new = NewMemory(content="Once.", id=new_id())
    assert (await world.memories.store(new)).created
    again = await world.memories.store(new)
    assert again.id == new.id and not again.created


async def test_an_id_of_another_memory_is_refused(world: World) -> None:
    taken = await world.memories.store(NewMemory(content="Mine."))
    with pytest.raises(Conflict) as caught:
        await world.memories.store(NewMemory(content="Other.", id=taken.id))
    assert caught.value.code == "memory.id_taken"


async def test_without_an_embedder_rows_wait_and_are_embedded_later(
    open_world: OpenWorld,
) -> None:
    async with open_world(without_embedder=True) as poor:
        stored = await poor.memories.store(NewMemory(content="Waiting for a vector."))
        assert stored.created and not stored.embedded
        assert await poor.memories.count_waiting() == 1
    async with open_world() as rich:
        assert await rich.memories.embed_waiting() == 1
        assert await rich.memories.count_waiting() == 0
        again = await rich.memories.store(NewMemory(content="Waiting for a vector."))
        assert again.embedded and not again.created
        totals = await counts(rich)
    assert totals["embeddings_1"] == 1 and totals["embedding_queue"] == 0


async def test_a_long_text_is_chunked_and_found_by_its_end(world: World) -> None:
    body = " ".join(f"filler{n}" for n in range(3000)) + " The zebra crossed the viaduct." * 40
    stored = await world.memories.store(NewMemory(content=body, collection="document"))
    assert (await counts(world))["embeddings_1"] > 5
    result = await world.retriever.search(
        SearchRequest(query="zebra viaduct", mode="vector", limit=1)
    )
    [hit] = result.hits
    assert hit.memory.id == stored.id
    assert "zebra" in body[hit.char_start : hit.char_end]


async def test_superseding_hides_the_old_text_and_keeps_it(world: World) -> None:
    old = await world.memories.store(
        NewMemory(content="Port 8000 is used.", project="alpha", metadata={"k": "v"})
    )
    new = await world.memories.supersede(old.id, "Port 8680 is used.")
    assert (await world.memories.get(old.id)).superseded_by == new.id
    successor = await world.memories.get(new.id)
    assert successor.project == "alpha" and successor.metadata == {"k": "v"}
    listed = await world.memories.list_memories(MemoryFilter())
    assert [m.id for m in listed] == [new.id]
    for mode in ("text", "vector", "hybrid"):
        result = await world.retriever.search(SearchRequest(query="port 8000", mode=mode))
        assert old.id not in {hit.memory.id for hit in result.hits}
    with pytest.raises(Conflict):
        await world.memories.supersede(old.id, "Port 9000 is used.")
    with pytest.raises(Conflict):
        await world.memories.supersede(new.id, "Port 8680 is used.")


async def test_a_superseded_text_can_be_stored_again(world: World) -> None:
    old = await world.memories.store(NewMemory(content="Blue."))
    await world.memories.supersede(old.id, "Green.")
    again = await world.memories.store(NewMemory(content="Blue."))
    assert again.created and again.id != old.id


async def test_forgetting_takes_postings_vectors_and_older_versions_along(world: World) -> None:
    old = await world.memories.store(NewMemory(content="Secret plan one."))
    new = await world.memories.supersede(old.id, "Secret plan two.")
    kept = await world.memories.store(NewMemory(content="Something else entirely."))
    would = await world.memories.forget([new.id], dry_run=True)
    assert set(would) == {old.id, new.id}
    assert (await counts(world))["memories"] == 3
    assert set(await world.memories.forget([new.id])) == {old.id, new.id}
    totals = await counts(world)
    assert totals["memories"] == totals["embeddings_1"] == 1
    assert totals["postings"] == 3  # the kept one's
    with pytest.raises(NotFound):
        await world.memories.get(old.id)
    stored = await world.memories.store(NewMemory(content="Secret plan two."))
    assert stored.created
    assert (await world.memories.get(kept.id)).content.startswith("Something")


async def test_the_change_feed_tells_what_happened_in_order(world: World) -> None:
    old = await world.memories.store(NewMemory(content="One."))
    new = await world.memories.supersede(old.id, "Two.")
    await world.memories.forget([new.id])
    async with world.database.connection() as connection:
        rows = await connection.fetch(
            "SELECT kind, memory_id FROM changes "
            "WHERE xid < pg_snapshot_xmin(pg_current_snapshot()) ORDER BY change_no"
        )
    seen = [(row["kind"], row["memory_id"]) for row in rows]
    assert seen[:3] == [("stored", old.id), ("stored", new.id), ("superseded", old.id)]
    assert sorted(seen[3:]) == sorted([("forgotten", old.id), ("forgotten", new.id)])


async def test_a_brought_vector_is_used_or_refused(open_world: OpenWorld) -> None:
    embedder = FakeEmbedder(dimensions=8, name="tiny")
    async with open_world(embedder) as world:
        good = BroughtVector(model="tiny", values=[3.0] + [0.0] * 7)
        with pytest.raises(Conflict) as caught:
            await world.memories.store(NewMemory(content="Too early.", vector=good))
        assert caught.value.code == "embedding.no_model"
        await world.memories.store(NewMemory(content="First."))
        stored = await world.memories.store(NewMemory(content="Brought.", vector=good))
        assert stored.embedded
        async with world.database.connection() as connection:
            value = await connection.fetchval(
                "SELECT e.embedding::text FROM embeddings_1 e JOIN memories m USING (memory_no) "
                "WHERE m.id = $1", stored.id,
            )  # fmt: skip
        assert value == "[1,0,0,0,0,0,0,0]"
        for wrong in (replace(good, model="other"), replace(good, values=[1.0] * 9)):
            with pytest.raises(Conflict):
                await world.memories.store(NewMemory(content="Refused.", vector=wrong))
        with pytest.raises(UsageError):
            zero = replace(good, values=[0.0] * 8)
            await world.memories.store(NewMemory(content="Nowhere.", vector=zero))
        assert (await counts(world))["memories"] == 2


async def test_another_model_is_refused_and_the_row_waits(open_world: OpenWorld) -> None:
    async with open_world(FakeEmbedder(name="first")) as world:
        await world.memories.store(NewMemory(content="One."))
    async with open_world(FakeEmbedder(name="second", dimensions=32)) as world:
        stored = await world.memories.store(NewMemory(content="Two."))
        assert not stored.embedded
        with pytest.raises(Conflict) as caught:
            await world.memories.embed_waiting()
        assert caught.value.code == "embedding.other_model"
        result = await world.retriever.search(SearchRequest(query="two"))
        assert next(d.part for d in result.degraded) == "vector"
        assert len(result.hits) == 1


async def test_shown_ids_resolve_and_ambiguity_is_told(world: World) -> None:
    stored = await world.memories.store(NewMemory(content="Find me by my end."))
    assert await world.memories.resolve(shown(stored.id)) == stored.id
    assert await world.memories.resolve(str(stored.id)) == stored.id
    assert await world.memories.resolve(stored.id.hex[-5:]) == stored.id
    twin = UUID(stored.id.hex[:8] + "aaaa7aaa8aaa" + stored.id.hex[-12:])
    await world.memories.store(NewMemory(content="A twin.", id=twin))
    with pytest.raises(Conflict) as caught:
        await world.memories.resolve(shown(stored.id))
    assert str(twin) in (caught.value.hint or "")
    with pytest.raises(NotFound):
        await world.memories.resolve("00000000")
    with pytest.raises(UsageError):
        await world.memories.resolve("not-an-id'; DROP TABLE memories")


async def test_lists_page_newest_first_and_filters_narrow(world: World) -> None:
    for day in range(1, 6):
        await world.memories.store(
            NewMemory(
                content=f"Day {day}.",
                collection="note" if day % 2 else "document",
                project="odd" if day % 2 else "even",
                agent_id="a" if day == 3 else None,
                metadata={"day": day},
                occurred_at=datetime(2025, 1, day, tzinfo=UTC),
            )
        )

    async def days(wanted: MemoryFilter, **options: int) -> list[int]:
        found = await world.memories.list_memories(wanted, **options)
        return [memory.metadata["day"] for memory in found]

    assert await days(MemoryFilter(), limit=2, offset=1) == [4, 3]
    assert await days(MemoryFilter(projects=("even",))) == [4, 2]
    assert await days(MemoryFilter(memory_types=("rag",))) == [4, 2]
    assert await days(MemoryFilter(memory_types=("rag",), collections=("note",))) == []
    assert await days(MemoryFilter(agent_id="a")) == [3]
    assert await days(MemoryFilter(metadata={"day": 5})) == [5]
    since, until = datetime(2025, 1, 2, tzinfo=UTC), datetime(2025, 1, 4, tzinfo=UTC)
    assert await days(MemoryFilter(since=since, until=until)) == [3, 2]
    with pytest.raises(NotFound) as caught:
        await days(MemoryFilter(projects=("evne",)))
    assert "even" in (caught.value.hint or "")
    assert len(await world.memories.select_ids(MemoryFilter(projects=("odd",)))) == 3
    for beyond in (-1, 2**63, 10**30, 1.5, "0"):
        with pytest.raises(UsageError) as refused:
            await days(MemoryFilter(), offset=beyond)  # type: ignore[arg-type]
        assert refused.value.code == "input.offset"
    for beyond in (0, 1001, 10**30, 1.5, "5"):
        with pytest.raises(UsageError) as refused:
            await days(MemoryFilter(), limit=beyond)  # type: ignore[arg-type]
        assert refused.value.code == "input.limit"
    assert await days(MemoryFilter(), offset=2**63 - 1) == []


async def test_ids_of_many_come_in_one_statement_without_their_texts(world: World) -> None:
    news = (NewMemory(content=f"Item {n}.") for n in range(1100))
    stored = [s.id async for s in world.memories.store_many(news, embed=False)]
    asked: list[str] = []

    def note(record: Any) -> None:
        asked.append(record.query)

    async with world.database.connection() as connection:
        with connection.query_logger(note):
            world.database.run = lambda work: work(connection)  # type: ignore[assignment,misc]
            found = await world.memories.select_ids(MemoryFilter(source_system="cli"))
    assert set(found) == set(stored) and len(found) == 1100
    [statement] = [query for query in asked if "FROM memories" in query]
    assert "content" not in statement


async def test_stats_count_what_is_there(world: World) -> None:
    await world.memories.store_batch([NewMemory(content=f"N{n}.", project="p") for n in range(3)])
    old = await world.memories.store(NewMemory(content="Old."))
    await world.memories.supersede(old.id, "New.")
    await world.expire([await world.memories.store(NewMemory(content="Over.", project="p"))])
    groups, totals = await world.memories.stats()
    assert {(g["collection"], g["project"], g["memories"]) for g in groups} == {
        ("note", "p", 3),
        ("note", None, 1),
    }
    assert totals["live"] == 4 and totals["superseded"] == 1 and totals["waiting"] == 0


async def test_many_are_stored_as_they_come(world: World) -> None:
    news = (NewMemory(content=f"Item {n}.") for n in range(1100))
    stored = [outcome async for outcome in world.memories.store_many(news, embed=False)]
    assert len(stored) == 1100 and all(s.created and not s.embedded for s in stored)
    assert await world.memories.count_waiting() == 1100
    assert await world.memories.embed_waiting(limit=100) == 100
    assert await world.memories.count_waiting() == 1000


async def test_two_corrections_that_cross_do_not_lose_both_texts(world: World) -> None:
    one = await world.memories.store(NewMemory(content="Cross one."))
    two = await world.memories.store(NewMemory(content="Cross two."))
    outcomes = await asyncio.gather(
        world.memories.supersede(one.id, "Cross two."),
        world.memories.supersede(two.id, "Cross one."),
        return_exceptions=True,
    )
    assert all(isinstance(outcome, Conflict | Stored) for outcome in outcomes)
    live = {memory.id for memory in await world.memories.list_memories(MemoryFilter())}
    assert len(live) == 1
    for outcome in outcomes:  # what was acknowledged is live, or leads to what is
        if isinstance(outcome, Stored):
            successor = (await world.memories.get(outcome.id)).superseded_by
            assert outcome.id in live or successor in live


async def test_batches_with_texts_in_common_do_not_get_in_each_others_way(
    open_world: OpenWorld,
) -> None:
    texts = [f"Common text {n}." for n in range(100)]
    async with open_world(without_embedder=True) as one, open_world(without_embedder=True) as two:
        for number in range(5):
            news = [NewMemory(content=f"{text} {number}") for text in texts]
            first, second = await asyncio.gather(
                one.memories.store_batch(news), two.memories.store_batch(news[::-1])
            )
            assert [s.id for s in first] == [s.id for s in second[::-1]]
            assert sum(s.created for s in (*first, *second)) == len(texts)


async def test_an_expired_text_can_be_stored_again(world: World) -> None:
    old = await world.memories.store(NewMemory(content="For a while."))
    await world.expire([old])
    new = await world.memories.store(NewMemory(content="For a while."))
    assert new.created and new.id != old.id
    with pytest.raises(NotFound):
        await world.memories.get(old.id)


async def test_a_brought_vector_needs_no_embedder(open_world: OpenWorld) -> None:
    async with open_world(FakeEmbedder(dimensions=8, name="tiny")) as world:
        await world.memories.store(NewMemory(content="First."))
    async with open_world(without_embedder=True) as world:
        vector = BroughtVector(model="tiny", values=[1.0] + [0.0] * 7)
        stored = await world.memories.store(NewMemory(content="Brought.", vector=vector))
        assert stored.embedded
        assert (await counts(world))["embeddings_1"] == 2


@pytest.mark.parametrize(
    "failure",
    [
        UsageError("Too long.", code="embedding.too_long"),
        Corrupt("Not a number.", code="embedding.bad_vector"),
        Corrupt("It fails on these.", code="embedding.input_failed"),
    ],
    ids=["too long", "no direction", "failed"],
)
async def test_a_text_the_model_refuses_does_not_hold_up_the_others(
    open_world: OpenWorld, failure: MahavishnuError
) -> None:
    class Picky(FakeEmbedder):
        async def embed_documents(self, texts: Sequence[str]) -> list[list[float]]:
            if any("BAD" in text for text in texts):
                raise failure
            return await super().embed_documents(texts)

    news = [NewMemory(content="Fine."), NewMemory(content="BAD word.")]
    async with open_world(Picky()) as world:
        stored = await world.memories.store_batch(news)
        assert [s.embedded for s in stored] == [True, False]
        assert await world.memories.count_waiting() == 1
        later = [replace(new, source_key="later") for new in news]
        assert [s async for s in world.memories.store_many(later, embed=False)]
        assert await world.memories.embed_waiting(limit=2) == 1  # the older bad one goes behind
        assert await world.memories.embed_waiting() == 0
        assert await world.memories.count_waiting() == 2
        assert (await counts(world))["embeddings_1"] == 2


@pytest.mark.parametrize("found", [True, False], ids=["vectors there", "first vectors"])
async def test_an_embedder_that_refuses_everything_loses_nothing(
    open_world: OpenWorld, found: bool
) -> None:
    refusing = [False]

    class Moody(FakeEmbedder):
        async def embed_documents(self, texts: Sequence[str]) -> list[list[float]]:
            if refusing[0]:
                raise Unavailable("It answered 402.", code="embedding.refused")
            return await super().embed_documents(texts)

    async with open_world(Moody()) as world:
        if found:
            await world.memories.store(NewMemory(content="While it was well."))
        refusing[0] = True
        assert not (await world.memories.store(NewMemory(content="Meanwhile."))).embedded
        with pytest.raises(Unavailable):
            await world.memories.embed_waiting()
        assert await world.memories.count_waiting() == 1
        refusing[0] = False
        result = await world.retriever.search(SearchRequest(query="walrus"))
        assert [part.part for part in result.degraded] == ["vector"]
        assert await world.memories.embed_waiting() == 1


async def test_an_answer_lost_after_the_commit_is_found_again(world: World) -> None:
    old = await world.memories.store(NewMemory(content="Before."))
    acquire = world.database._run_once
    lost = [True]

    async def lose_one_answer(work: Any, **options: Any) -> Any:
        answer = await acquire(work, **options)
        if lost and lost.pop():
            raise ConnectionResetError("after the commit")
        return answer

    world.database._run_once = lose_one_answer  # type: ignore[method-assign]  # fault injection
    stored = await world.memories.store(NewMemory(content="Once only."))
    assert len(await world.memories.list_memories(MemoryFilter())) == 2
    lost.append(True)
    new = await world.memories.supersede(old.id, "After.")
    assert (await world.memories.get(old.id)).superseded_by == new.id != stored.id


async def test_a_model_that_makes_no_vector_does_not_become_the_databases(
    open_world: OpenWorld,
) -> None:
    class Down(FakeEmbedder):
        async def embed_documents(self, texts: Sequence[str]) -> list[list[float]]:
            raise Unavailable("Nobody answers.", code="embedding.unreachable")

    async with open_world(Down(name="down", dimensions=8)) as world:
        stored = await world.memories.store(NewMemory(content="Waiting."))
        assert not stored.embedded
        assert await world.space.active() is None
    async with open_world(FakeEmbedder(name="up", dimensions=16)) as world:
        assert await world.memories.embed_waiting() == 1


async def test_a_member_does_not_found_the_databases_model_and_is_told_who_does(
    open_world: OpenWorld, bob: Target
) -> None:
    async with open_world(at=bob) as members, open_world() as owners:
        assert not (await members.memories.store(NewMemory(content="The member's."))).embedded
        with pytest.raises(Forbidden) as caught:
            await members.memories.embed_waiting()
        assert caught.value.code == "embedding.owner_first"
        assert (await owners.memories.store(NewMemory(content="The owner's."))).embedded
        assert await members.memories.embed_waiting() == 1
