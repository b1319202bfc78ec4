"""Insights in Session-Buddy: delivered once, nothing else, and searched as a tier. The real one is in tests/peers."""

from dataclasses import replace
from pathlib import Path

import pytest

from mahavishnu.base.errors import Conflict, Unavailable
from mahavishnu.memory.insights.insights import Insights
from mahavishnu.memory.models import MemoryFilter, NewMemory, SearchResult
from mahavishnu.memory.outbox.outbox import Outbox
from mahavishnu.memory.outbox.port import MemoryChange
from mahavishnu.memory.outbox.session_buddy import SessionBuddyTarget
from mahavishnu.memory.search import Retriever, SearchRequest
from mahavishnu.memory.tiers import open_tiers
from mahavishnu.memory.tiers.development import DevelopmentTier
from mahavishnu.operations.bodies import hit_fields
from mahavishnu.operations.memory import store_memory
from mahavishnu.operations.operation import Call
from mahavishnu.operations.requests import StoreMemory
from tests.conftest import World
from tests.support.fakes import FakeSessionBuddy
from tests.support.mirrored import catch_up
from tests.support.served import app_of

pytestmark = pytest.mark.postgres
TEXT = "A walrus sleeps in the water as well as on the ice."
OWN = {
    "id": "1",
    "content": "The tern sleeps on the wing.",
    "tags": ["bird"],
    "created_at": "2026-01-02T03:04:05",
}


@pytest.fixture
def buddy() -> FakeSessionBuddy:
    return FakeSessionBuddy()


def outbox_of(world: World, buddy: FakeSessionBuddy) -> Outbox:
    return Outbox(world.database, world.memories, [SessionBuddyTarget(buddy)])


def insight(text: str = TEXT, **options: object) -> NewMemory:
    values = {
        "content": text,
        "collection": "insight",
        "project": "reef",
        "workflow_id": "w1",
        **options,
    }
    return NewMemory(**values)  # type: ignore[arg-type]


async def search(
    world: World, buddy: FakeSessionBuddy, *tiers: str, **options: object
) -> SearchResult:
    development = DevelopmentTier(buddy, world.database, world.scopes)
    opened = open_tiers(world.database, world.space, world.scopes, development=development)
    values = {"query": "who sleeps", "tiers": tiers or ("development",), **options}
    return await Retriever(opened).search(SearchRequest(**values))  # type: ignore[arg-type]


def texts(result: SearchResult) -> list[str]:
    return [hit.memory.content for hit in result.hits]


async def test_an_insight_is_delivered_once_with_where_it_comes_from(
    world: World, buddy: FakeSessionBuddy
) -> None:
    stored = await world.memories.store(insight())
    raw = [
        NewMemory(content="A raw note."),
        NewMemory(content="A turn.", collection="conversation"),
    ]
    await world.memories.store_batch(raw)
    outbox = outbox_of(world, buddy)
    await catch_up(outbox)
    [row] = buddy.rows
    assert row["content"] == f"[mv:{stored.id.hex}] [project:reef] {TEXT}"
    assert {"doc_type:insight", "source_system:cli", "workflow_id:w1", "project:reef"} <= {
        *row["tags"]
    }
    [note, *_] = [
        each for each in await world.memories.list_memories(MemoryFilter()) if each.id != stored.id
    ]
    change = MemoryChange(9, 9, "stored", note.id, note.stored_at, note)
    assert await SessionBuddyTarget(buddy).deliver([change]) is None
    assert buddy.rows == [row]
    [target] = await outbox.status()
    await outbox.drop(
        target.name
    )  # and again from the first change on, as after a lost acknowledgement
    await catch_up(outbox)
    assert buddy.rows == [row]


async def test_a_share_is_told_with_its_targets_and_shown_once(
    world: World, buddy: FakeSessionBuddy
) -> None:
    stored = await world.memories.store(insight())
    outbox = outbox_of(world, buddy)
    await catch_up(outbox)
    sharing = Insights(world.database, world.memories, world.space, world.scopes)
    await world.memories.store(NewMemory(content="There.", project="arctic"))
    await sharing.share(stored.id, ["arctic"], share_type="group")
    await catch_up(outbox)
    assert {"target:arctic", "share_type:group"} <= {*buddy.rows[-1]["tags"]}
    for tiers in (("development",), ("all",)):
        for wanted in (MemoryFilter(), MemoryFilter(projects=("arctic",))):
            result = await search(world, buddy, *tiers, wanted=wanted)
            assert [hit.memory.id for hit in result.hits if hit.memory.content == TEXT] == [
                stored.id
            ]


async def test_what_cannot_be_taken_waits_or_is_refused(
    world: World, buddy: FakeSessionBuddy
) -> None:
    await world.memories.store(insight())
    outbox = outbox_of(world, buddy)
    buddy.problem = Unavailable("It is away.", code="session_buddy.unreachable")
    assert [ran.error_code for ran in await outbox.run()] == ["session_buddy.unreachable"]
    buddy.problem = None
    await catch_up(outbox)
    assert len(buddy.rows) == 1
    target = SessionBuddyTarget(buddy)
    before = await target.open()
    buddy.keeps = buddy.keeps.__class__(buddy.keeps.tools, None)
    assert "process 7" in (earlier := await target.open()) != before
    buddy.up_s += 600.0
    assert (
        await target.open() != earlier
    )  # it loses rows: each start is given all, with the same pid too


async def test_what_it_has_of_ours_is_shown_as_it_is_here(
    world: World, buddy: FakeSessionBuddy
) -> None:
    stored = await world.memories.store_batch([insight(), insight("Seals sleep alone.")])
    await catch_up(outbox_of(world, buddy))
    buddy.rows.append(OWN)
    assert texts(await search(world, buddy)) == [TEXT, OWN["content"]]
    assert texts(await search(world, buddy, wanted=MemoryFilter(projects=("reef",)))) == [TEXT]
    assert texts(await search(world, buddy, wanted=MemoryFilter(memory_types=("agent",)))) == []
    await world.memories.forget([stored[0].id])
    assert texts(await search(world, buddy)) == [OWN["content"]]
    assert "loses rows" not in str((await search(world, buddy)).degraded)
    buddy.keeps = buddy.keeps.__class__(buddy.keeps.tools, None)
    [told] = (await search(world, buddy)).degraded
    assert told.part == "tier:development" and "loses rows" in told.reason


async def test_one_ranking_over_tiers_adds_up_and_shows_each_once(
    world: World, buddy: FakeSessionBuddy
) -> None:
    await world.memories.store_batch([insight(), NewMemory(content=OWN["content"])])
    await catch_up(outbox_of(world, buddy))
    buddy.rows.append(OWN)  # what says the same as a memory is that memory
    result = await search(world, buddy, "all")
    assert sorted(texts(result)) == sorted([TEXT, OWN["content"]])
    for hit in result.hits:
        assert hit.memory.memory_no and "session_buddy" in hit.arms
        assert sum(arm.contribution for arm in hit.arms.values()) == pytest.approx(hit.score)


async def test_one_that_fails_is_named_and_left_alone_for_a_moment(
    world: World, buddy: FakeSessionBuddy
) -> None:
    await world.memories.store(insight())
    development = DevelopmentTier(buddy, world.database, world.scopes)
    opened = open_tiers(world.database, world.space, world.scopes, development=development)
    for problem in (Unavailable("It is slow.", code="session_buddy.slow"), Conflict("It says no.")):
        buddy.problem = problem
        result = await Retriever(opened).search(SearchRequest(query="who sleeps", tiers=("all",)))
        assert texts(result) == [TEXT]
        told = {part.part: part.reason for part in result.degraded}
        assert told["tier:development"] == "It is slow."  # not asked the second time


async def test_an_answer_says_where_a_memory_is_and_goes(
    world: World, buddy: FakeSessionBuddy, tmp_path: Path
) -> None:
    call = Call(replace(app_of(world, tmp_path), session_buddy=buddy), "tests")
    kept = await store_memory(call, StoreMemory(content=TEXT, memory_type="insight"))
    assert kept.places == {"postgresql": "stored", "session_buddy": "queued"}
    raw = await store_memory(call, StoreMemory(content="A raw note."))
    assert raw.places == {"postgresql": "stored"}
    await catch_up(outbox_of(world, buddy))
    buddy.rows.append(OWN)
    found = [hit_fields(hit)["found_in"] for hit in (await search(world, buddy)).hits]
    assert found == [["postgresql", "session_buddy"], ["session_buddy"]]
