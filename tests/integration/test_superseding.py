"""One thing with a source key has one live memory: turns, executions, batches that supersede."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from mahavishnu.base.errors import Conflict, UsageError
from mahavishnu.base.identifiers import new_id
from mahavishnu.database.target import Target
from mahavishnu.memory.conversations import NewTurn
from mahavishnu.memory.models import MemoryFilter, NewMemory
from mahavishnu.memory.records import NewExecution
from mahavishnu.memory.search import SearchRequest
from tests.conftest import OpenWorld, World

pytestmark = pytest.mark.postgres
EVERYTHING = MemoryFilter()
TURN = NewTurn(session_id="s", position=1, role="assistant", content="The port is")
WAITERS = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'
"""
STARTED = datetime(2025, 5, 1, 9, tzinfo=UTC)
RUN = NewExecution(
    execution_id="run-1", workflow_id="nightly", adapter="prefect", status="failed",
    started_at=STARTED, finished_at=STARTED + timedelta(minutes=1), error="disk quota exceeded",
)  # fmt: skip


async def live(world: World) -> list[str]:
    return sorted(memory.content for memory in await world.memories.list_memories(EVERYTHING))


async def test_a_turn_that_was_completed_has_one_memory(world: World) -> None:
    [part] = await world.conversations.record([TURN])
    [whole] = await world.conversations.record([replace(TURN, content="The port is 8680.")])
    assert whole.created and (await world.memories.get(part.id)).superseded_by == whole.id
    assert await live(world) == ["The port is 8680."]
    [turn] = await world.conversations.read("s")
    assert (turn.position, turn.role, turn.speaker) == (1, "assistant", None)
    assert turn.content == "The port is 8680."
    for mode in ("text", "vector"):
        found = await world.retriever.search(SearchRequest(query="port", mode=mode))
        assert [hit.memory.id for hit in found.hits] == [whole.id]


async def test_a_turn_can_go_back_to_what_it_said(world: World) -> None:
    for content in ("one", "two", "one"):
        [stored] = await world.conversations.record([replace(TURN, content=content)])
        assert stored.created
    assert await live(world) == ["one"]


async def test_of_several_in_one_call_the_last_counts(world: World) -> None:
    pieces = [replace(TURN, content=text) for text in ("The", "The port", "The port is")]
    first = await world.conversations.record(pieces)
    assert len({stored.id for stored in first}) == 1
    assert [stored.created for stored in first] == [False, False, True]
    assert await live(world) == ["The port is"]
    await world.conversations.record([pieces[0], pieces[2]])
    assert await live(world) == ["The port is"]


async def test_a_turn_delivered_again_does_not_undo_a_correction(world: World) -> None:
    [stored] = await world.conversations.record([TURN])
    await world.memories.supersede(stored.id, "Corrected by hand.")
    [again] = await world.conversations.record([TURN])
    assert again.id == stored.id and not again.created
    assert await live(world) == ["Corrected by hand."]
    assert [turn.content for turn in await world.conversations.read("s")] == ["Corrected by hand."]


async def test_what_belongs_to_a_turn_is_read_back_and_added_to(world: World) -> None:
    given = {"branch": "main", "model": "opus", "profile": "work", "metadata": {"tokens": 7}}
    await world.conversations.record([replace(TURN, **given)])  # type: ignore[arg-type]
    [memory] = await world.memories.list_memories(MemoryFilter(metadata={"branch": "main"}))
    assert memory.metadata["tokens"] == 7
    later = replace(TURN, profile="spare", metadata={"cost": 2})
    for turn in (later, replace(later, content="The port is 8680.", metadata={})):
        await world.conversations.record([turn])
        [read] = await world.conversations.read("s")
        assert read.content == turn.content and read.metadata == {"tokens": 7, "cost": 2}
        assert (read.branch, read.model, read.profile) == ("main", "opus", "spare")


@pytest.mark.parametrize(
    "changes",
    [
        {"session_id": None}, {"session_id": ""}, {"role": None}, {"role": "nonsense"},
        {"speaker": 7}, {"metadata": ["a"]}, {"branch": ""}, {"model": 7}, {"profile": "p" * 201},
        {"position": -1}, {"position": "1"}, {"position": 2**31}, {"content": b"bytes"},
        {"occurred_at": datetime(2025, 1, 1)},
    ],
    ids=str,
)  # fmt: skip
async def test_impossible_turns_are_refused_whole(world: World, changes: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        await world.conversations.record([TURN, replace(TURN, **({"position": 2} | changes))])
    assert await live(world) == []


async def test_turns_of_other_sessions_and_places_are_left_alone(world: World) -> None:
    others = [replace(TURN, position=2), replace(TURN, session_id="t")]
    await world.conversations.record([TURN, *others, replace(TURN, project="p")])
    await world.conversations.record([replace(TURN, content="Another.")])
    assert await live(world) == ["Another.", *[TURN.content] * 3]


async def test_writers_of_one_turn_leave_one_memory(open_world: OpenWorld, target: Target) -> None:
    texts = ("The port is 1.", "The port is 2.")
    async with open_world() as one, open_world() as two:
        await one.conversations.record([TURN])
        async with asyncio.TaskGroup() as writers, no_row_changes(target) as waiting:
            for world, text in zip((one, two), texts, strict=True):
                writers.create_task(world.conversations.record([replace(TURN, content=text)]))
            # Whoever the other does not hold back has its own in, and is about to retire what it sees.
            await waiting(2)
        [left] = await live(one)
        assert left in texts
        [read] = [turn.content for turn in await one.conversations.read("s")]
        assert read == left


@asynccontextmanager
async def no_row_changes(target: Target) -> AsyncIterator[Callable[[int], Awaitable[None]]]:
    """Keep others from changing memories that are there; yields what waits until so many of them wait for a lock."""
    connection = await asyncpg.connect(**target.direct)

    async def waiting(wanted: int) -> None:
        async with asyncio.timeout(60):
            while await connection.fetchval(WAITERS) < wanted:  # noqa: ASYNC110 - of other sessions
                await asyncio.sleep(0.01)

    try:
        async with connection.transaction():
            await connection.execute("SELECT FROM memories FOR UPDATE")
            yield waiting
    finally:
        await connection.close()


async def test_an_execution_that_ends_again_has_one_memory(world: World) -> None:
    identifier = await world.records.record_execution(replace(RUN, status="running"))
    await world.records.record_execution(RUN)
    await world.records.record_execution(replace(RUN, status="running", finished_at=None))
    done = replace(RUN, status="completed", error=None)
    assert await world.records.record_execution(done) == identifier
    [left] = await world.memories.list_memories(EVERYTHING)
    assert "completed" in left.content
    [row] = await world.records.list_executions("nightly")
    assert row.memory_id == left.id
    found = await world.retriever.search(SearchRequest(query="disk quota", mode="text"))
    assert found.hits == ()


async def test_executions_of_two_adapters_are_two(world: World) -> None:
    await world.records.record_execution(RUN)
    await world.records.record_execution(replace(RUN, adapter="agno"))
    assert len(await live(world)) == 2


async def test_what_supersedes_needs_a_key(world: World) -> None:
    with pytest.raises(UsageError) as caught:
        await world.memories.store_batch([NewMemory(content="One.")], superseding=True)
    assert caught.value.code == "memory.no_source_key"
    assert await world.memories.store_batch([], superseding=True) == []


async def test_one_id_twice_in_a_batch(world: World) -> None:
    twice = NewMemory(content="Same.", id=new_id())
    stored = await world.memories.store_batch([twice, twice])
    assert [(s.id, s.created, s.embedded) for s in stored] == [
        (twice.id, True, True),
        (twice.id, False, True),
    ]
    other = NewMemory(content="Nobody sees this.", id=new_id())
    with pytest.raises(Conflict) as caught:
        await world.memories.store_batch([other, replace(other, content="Nor this.")])
    assert caught.value.code == "memory.id_taken" and str(other.id) in caught.value.message
    assert await live(world) == ["Same."]


@pytest.mark.parametrize("others", [3, 100])  # as arrays, and by COPY
async def test_a_taken_id_leaves_nothing_of_its_batch(world: World, others: int) -> None:
    taken = await world.memories.store(NewMemory(content="Mine."))
    batch = [NewMemory(content=f"Other {n}.") for n in range(others)]
    with pytest.raises(Conflict) as caught:
        await world.memories.store_batch([*batch, NewMemory(content="Guess.", id=taken.id)])
    assert caught.value.code == "memory.id_taken" and str(taken.id) in caught.value.message
    assert await live(world) == ["Mine."]


async def test_an_expired_text_among_many_can_be_stored_again(world: World) -> None:
    batch = [NewMemory(content=f"For a while {n}.") for n in range(80)]
    await world.expire(await world.memories.store_batch(batch))
    again = await world.memories.store_batch(batch)
    assert all(stored.created for stored in again)


async def test_a_session_of_several_projects_is_read_one_after_the_other(world: World) -> None:
    for project in ("q", "p", None):
        await world.conversations.record(
            [replace(TURN, project=project, position=n, content=f"{project} {n}") for n in (0, 1)]
        )
    read = [turn.content for turn in await world.conversations.read("s")]
    assert read == ["None 0", "None 1", "p 0", "p 1", "q 0", "q 1"]
    assert [turn.content for turn in await world.conversations.read("s", project="p")] == read[2:4]
    assert await world.conversations.read("s", project="elsewhere") == []
